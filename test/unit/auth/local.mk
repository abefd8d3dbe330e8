# unit tests of src/auth
check_PROGRAMS += test/unit/auth/check_authfile
test_unit_auth_check_authfile_SOURCES = test/unit/auth/check_authfile.c
test_unit_auth_check_authfile_LDADD = $(UNIT_LIBS)
test_unit_auth_check_authfile_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/auth/check_decide
test_unit_auth_check_decide_SOURCES = test/unit/auth/check_decide.c
test_unit_auth_check_decide_LDADD = $(UNIT_LIBS)
test_unit_auth_check_decide_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/auth/check_door
test_unit_auth_check_door_SOURCES = test/unit/auth/check_door.c
test_unit_auth_check_door_LDADD = $(UNIT_LIBS)
test_unit_auth_check_door_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/auth/check_users
test_unit_auth_check_users_SOURCES = test/unit/auth/check_users.c $(FAILING_ALLOC_FILES)
test_unit_auth_check_users_LDADD = $(UNIT_LIBS)
test_unit_auth_check_users_CFLAGS = $(UNIT_CFLAGS)
test_unit_auth_check_users_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/auth/check_ldap_name
test_unit_auth_check_ldap_name_SOURCES = test/unit/auth/check_ldap_name.c
test_unit_auth_check_ldap_name_LDADD = $(UNIT_LIBS)
test_unit_auth_check_ldap_name_CFLAGS = $(UNIT_CFLAGS)
