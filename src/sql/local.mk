# sql: pure floor; list .c and .h here (libpure_a_SOURCES +=)
