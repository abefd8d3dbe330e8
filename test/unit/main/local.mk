# unit tests of src/main, whose files are in no library
check_PROGRAMS += test/unit/main/check_journal_out
test_unit_main_check_journal_out_SOURCES = test/unit/main/check_journal_out.c src/main/journal_out.c src/main/journal_out.h
test_unit_main_check_journal_out_LDADD = $(UNIT_LIBS)
test_unit_main_check_journal_out_CFLAGS = $(UNIT_CFLAGS)
check_PROGRAMS += test/unit/main/check_syslog_out
test_unit_main_check_syslog_out_SOURCES = test/unit/main/check_syslog_out.c src/main/syslog_out.c src/main/syslog_out.h
test_unit_main_check_syslog_out_LDADD = $(UNIT_LIBS)
test_unit_main_check_syslog_out_CFLAGS = $(UNIT_CFLAGS)
