# auth: floor 2, who may log in and with what. Pure: the file's contents come in.
libpure_a_SOURCES += \
	src/auth/authfile.c src/auth/authfile.h \
	src/auth/decide.c src/auth/decide.h \
	src/auth/door.c src/auth/door.h \
	src/auth/ldap_name.c src/auth/ldap_name.h \
	src/auth/users.c src/auth/users.h
