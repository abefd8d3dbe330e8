# unit tests of src/conf
check_PROGRAMS += test/unit/conf/check_clusters
test_unit_conf_check_clusters_SOURCES = test/unit/conf/check_clusters.c test/unit/conf/fixture.h
test_unit_conf_check_clusters_LDADD = $(UNIT_LIBS)
test_unit_conf_check_clusters_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_conf
test_unit_conf_check_conf_SOURCES = test/unit/conf/check_conf.c test/unit/conf/fixture.h $(FAILING_ALLOC_FILES)
test_unit_conf_check_conf_LDADD = $(UNIT_LIBS)
test_unit_conf_check_conf_CFLAGS = $(UNIT_CFLAGS)
test_unit_conf_check_conf_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/conf/check_advice
test_unit_conf_check_advice_SOURCES = test/unit/conf/check_advice.c test/unit/conf/fixture.h
test_unit_conf_check_advice_LDADD = $(UNIT_LIBS)
test_unit_conf_check_advice_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_migrate
test_unit_conf_check_migrate_SOURCES = test/unit/conf/check_migrate.c test/unit/conf/fixture.h
test_unit_conf_check_migrate_LDADD = $(UNIT_LIBS)
test_unit_conf_check_migrate_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_diff
test_unit_conf_check_diff_SOURCES = test/unit/conf/check_diff.c test/unit/conf/fixture.h $(FAILING_ALLOC_FILES)
test_unit_conf_check_diff_LDADD = $(UNIT_LIBS)
test_unit_conf_check_diff_CFLAGS = $(UNIT_CFLAGS)
test_unit_conf_check_diff_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/conf/check_document
test_unit_conf_check_document_SOURCES = test/unit/conf/check_document.c test/unit/conf/fixture.h
test_unit_conf_check_document_LDADD = $(UNIT_LIBS)
test_unit_conf_check_document_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_effective
test_unit_conf_check_effective_SOURCES = test/unit/conf/check_effective.c test/unit/conf/fixture.h
test_unit_conf_check_effective_LDADD = $(UNIT_LIBS)
test_unit_conf_check_effective_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_findings
test_unit_conf_check_findings_SOURCES = test/unit/conf/check_findings.c $(FAILING_ALLOC_FILES)
test_unit_conf_check_findings_LDADD = $(UNIT_LIBS)
test_unit_conf_check_findings_CFLAGS = $(UNIT_CFLAGS)
test_unit_conf_check_findings_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/conf/check_ini
test_unit_conf_check_ini_SOURCES = test/unit/conf/check_ini.c
test_unit_conf_check_ini_LDADD = $(UNIT_LIBS)
test_unit_conf_check_ini_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_nodes
test_unit_conf_check_nodes_SOURCES = test/unit/conf/check_nodes.c test/unit/conf/fixture.h
test_unit_conf_check_nodes_LDADD = $(UNIT_LIBS)
test_unit_conf_check_nodes_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_pairs
test_unit_conf_check_pairs_SOURCES = test/unit/conf/check_pairs.c
test_unit_conf_check_pairs_LDADD = $(UNIT_LIBS)
test_unit_conf_check_pairs_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_settings
test_unit_conf_check_settings_SOURCES = test/unit/conf/check_settings.c
test_unit_conf_check_settings_LDADD = $(UNIT_LIBS)
test_unit_conf_check_settings_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_cidr
test_unit_conf_check_cidr_SOURCES = test/unit/conf/check_cidr.c
test_unit_conf_check_cidr_LDADD = $(UNIT_LIBS)
test_unit_conf_check_cidr_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_fields
test_unit_conf_check_fields_SOURCES = test/unit/conf/check_fields.c
test_unit_conf_check_fields_LDADD = $(UNIT_LIBS)
test_unit_conf_check_fields_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_hba
test_unit_conf_check_hba_SOURCES = test/unit/conf/check_hba.c test/unit/conf/fixture.h
test_unit_conf_check_hba_LDADD = $(UNIT_LIBS)
test_unit_conf_check_hba_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_ident
test_unit_conf_check_ident_SOURCES = test/unit/conf/check_ident.c test/unit/conf/fixture.h
test_unit_conf_check_ident_LDADD = $(UNIT_LIBS)
test_unit_conf_check_ident_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_pattern
test_unit_conf_check_pattern_SOURCES = test/unit/conf/check_pattern.c
test_unit_conf_check_pattern_LDADD = $(UNIT_LIBS)
test_unit_conf_check_pattern_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_access
test_unit_conf_check_access_SOURCES = test/unit/conf/check_access.c test/unit/conf/fixture.h
test_unit_conf_check_access_LDADD = $(UNIT_LIBS)
test_unit_conf_check_access_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/conf/check_variables
test_unit_conf_check_variables_SOURCES = test/unit/conf/check_variables.c test/unit/conf/fixture.h $(FAILING_ALLOC_FILES)
test_unit_conf_check_variables_LDADD = $(UNIT_LIBS)
test_unit_conf_check_variables_CFLAGS = $(UNIT_CFLAGS)
test_unit_conf_check_variables_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/conf/check_method_options
test_unit_conf_check_method_options_SOURCES = test/unit/conf/check_method_options.c
test_unit_conf_check_method_options_LDADD = $(UNIT_LIBS)
test_unit_conf_check_method_options_CFLAGS = $(UNIT_CFLAGS)
