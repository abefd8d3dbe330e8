# Fuzz targets: test/fuzz/fuzz_<module>.c defines LLVMFuzzerTestOneInput and asserts properties with
# PANIC_IF; its corpus is committed in test/fuzz/corpus/<module>/. A target takes three lines:
#
#   FUZZ_TARGETS += test/fuzz/fuzz_rd
#   test_fuzz_fuzz_rd_SOURCES = test/fuzz/fuzz_rd.c $(FUZZ_MAIN)
#   test_fuzz_fuzz_rd_LDADD = $(FUZZ_LIBS)
#
# `make check` replays every corpus. With --enable-fuzz (clang) the programs are libFuzzer's:
#
#   ./test/fuzz/fuzz_rd -max_total_time=60 found/ ../test/fuzz/corpus/rd
FUZZ_TARGETS =
FUZZ_LIBS = $(PURE_LIBS) $(FUZZ_ENGINE)
if FUZZ
FUZZ_MAIN =
else
FUZZ_MAIN = test/fuzz/replay.c
endif

FUZZ_TARGETS += test/fuzz/fuzz_rd
test_fuzz_fuzz_rd_SOURCES = test/fuzz/fuzz_rd.c $(FUZZ_MAIN)
test_fuzz_fuzz_rd_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_proto_backend
test_fuzz_fuzz_proto_backend_SOURCES = test/fuzz/fuzz_proto_backend.c test/fuzz/fuzz_proto.h $(FUZZ_MAIN)
test_fuzz_fuzz_proto_backend_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_proto_frontend
test_fuzz_fuzz_proto_frontend_SOURCES = test/fuzz/fuzz_proto_frontend.c test/fuzz/fuzz_proto.h $(FUZZ_MAIN)
test_fuzz_fuzz_proto_frontend_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_proto_proxy
test_fuzz_fuzz_proto_proxy_SOURCES = test/fuzz/fuzz_proto_proxy.c $(FUZZ_MAIN)
test_fuzz_fuzz_proto_proxy_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_proto_scram
test_fuzz_fuzz_proto_scram_SOURCES = test/fuzz/fuzz_proto_scram.c test/fuzz/fuzz_proto.h $(FUZZ_MAIN)
test_fuzz_fuzz_proto_scram_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_proto_startup
test_fuzz_fuzz_proto_startup_SOURCES = test/fuzz/fuzz_proto_startup.c test/fuzz/fuzz_proto.h $(FUZZ_MAIN)
test_fuzz_fuzz_proto_startup_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf
test_fuzz_fuzz_conf_SOURCES = test/fuzz/fuzz_conf.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf_authfile
test_fuzz_fuzz_conf_authfile_SOURCES = test/fuzz/fuzz_conf_authfile.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_authfile_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf_hba
test_fuzz_fuzz_conf_hba_SOURCES = test/fuzz/fuzz_conf_hba.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_hba_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf_ini
test_fuzz_fuzz_conf_ini_SOURCES = test/fuzz/fuzz_conf_ini.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_ini_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf_method_options
test_fuzz_fuzz_conf_method_options_SOURCES = test/fuzz/fuzz_conf_method_options.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_method_options_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_conf_variables
test_fuzz_fuzz_conf_variables_SOURCES = test/fuzz/fuzz_conf_variables.c $(FUZZ_MAIN)
test_fuzz_fuzz_conf_variables_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_console_grammar
test_fuzz_fuzz_console_grammar_SOURCES = test/fuzz/fuzz_console_grammar.c $(FUZZ_MAIN)
test_fuzz_fuzz_console_grammar_LDADD = libcore.a $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_image
test_fuzz_fuzz_image_SOURCES = test/fuzz/fuzz_image.c test/unit/worker/image_world.h $(FUZZ_MAIN)
test_fuzz_fuzz_image_LDADD = $(CORE_LIBS) $(FUZZ_ENGINE)

FUZZ_TARGETS += test/fuzz/fuzz_lsn
test_fuzz_fuzz_lsn_SOURCES = test/fuzz/fuzz_lsn.c $(FUZZ_MAIN)
test_fuzz_fuzz_lsn_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_owed
test_fuzz_fuzz_owed_SOURCES = test/fuzz/fuzz_owed.c $(FUZZ_MAIN)
test_fuzz_fuzz_owed_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_settings_diff
test_fuzz_fuzz_settings_diff_SOURCES = test/fuzz/fuzz_settings_diff.c $(FUZZ_MAIN)
test_fuzz_fuzz_settings_diff_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_sql_lexer
test_fuzz_fuzz_sql_lexer_SOURCES = test/fuzz/fuzz_sql_lexer.c $(FUZZ_MAIN)
test_fuzz_fuzz_sql_lexer_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_sql_classify
test_fuzz_fuzz_sql_classify_SOURCES = test/fuzz/fuzz_sql_classify.c $(FUZZ_MAIN)
test_fuzz_fuzz_sql_classify_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_sql_skeleton
test_fuzz_fuzz_sql_skeleton_SOURCES = test/fuzz/fuzz_sql_skeleton.c $(FUZZ_MAIN)
test_fuzz_fuzz_sql_skeleton_LDADD = $(FUZZ_LIBS)

FUZZ_TARGETS += test/fuzz/fuzz_sql_normalize
test_fuzz_fuzz_sql_normalize_SOURCES = test/fuzz/fuzz_sql_normalize.c $(FUZZ_MAIN)
test_fuzz_fuzz_sql_normalize_LDADD = $(FUZZ_LIBS)

check_PROGRAMS += $(FUZZ_TARGETS)
EXTRA_DIST += test/fuzz/replay.c test/fuzz/corpus
