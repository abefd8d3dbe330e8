# unit tests of src/proto
EXTRA_DIST += test/unit/proto/bytes.h test/unit/proto/scram_vector.h

# A test that makes OpenSSL fail has these in its SOURCES and LDFLAGS.
FAILING_CRYPTO_FILES = test/unit/proto/failing_crypto.c test/unit/proto/failing_crypto.h
FAILING_CRYPTO_LINK = $(AM_LDFLAGS) -Wl,--wrap=EVP_MAC_CTX_new,--wrap=EVP_MAC_init,--wrap=PKCS5_PBKDF2_HMAC,--wrap=EVP_MD_CTX_new,--wrap=EVP_DigestInit_ex,--wrap=EVP_DigestUpdate,--wrap=EVP_DigestFinal_ex

check_PROGRAMS += test/unit/proto/check_backend
test_unit_proto_check_backend_SOURCES = test/unit/proto/check_backend.c
test_unit_proto_check_backend_LDADD = $(UNIT_LIBS)
test_unit_proto_check_backend_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_base64
test_unit_proto_check_base64_SOURCES = test/unit/proto/check_base64.c
test_unit_proto_check_base64_LDADD = $(UNIT_LIBS)
test_unit_proto_check_base64_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_cancel_key
test_unit_proto_check_cancel_key_SOURCES = test/unit/proto/check_cancel_key.c
test_unit_proto_check_cancel_key_LDADD = $(UNIT_LIBS)
test_unit_proto_check_cancel_key_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_frame
test_unit_proto_check_frame_SOURCES = test/unit/proto/check_frame.c
test_unit_proto_check_frame_LDADD = $(UNIT_LIBS)
test_unit_proto_check_frame_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_frontend
test_unit_proto_check_frontend_SOURCES = test/unit/proto/check_frontend.c
test_unit_proto_check_frontend_LDADD = $(UNIT_LIBS)
test_unit_proto_check_frontend_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_md5auth
test_unit_proto_check_md5auth_SOURCES = test/unit/proto/check_md5auth.c $(FAILING_CRYPTO_FILES)
test_unit_proto_check_md5auth_LDADD = $(UNIT_LIBS)
test_unit_proto_check_md5auth_CFLAGS = $(UNIT_CFLAGS)
test_unit_proto_check_md5auth_LDFLAGS = $(FAILING_CRYPTO_LINK)

check_PROGRAMS += test/unit/proto/check_options
test_unit_proto_check_options_SOURCES = test/unit/proto/check_options.c
test_unit_proto_check_options_LDADD = $(UNIT_LIBS)
test_unit_proto_check_options_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_reply
test_unit_proto_check_reply_SOURCES = test/unit/proto/check_reply.c
test_unit_proto_check_reply_LDADD = $(UNIT_LIBS)
test_unit_proto_check_reply_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_report
test_unit_proto_check_report_SOURCES = test/unit/proto/check_report.c
test_unit_proto_check_report_LDADD = $(UNIT_LIBS)
test_unit_proto_check_report_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_saslprep
test_unit_proto_check_saslprep_SOURCES = test/unit/proto/check_saslprep.c
test_unit_proto_check_saslprep_LDADD = $(UNIT_LIBS)
test_unit_proto_check_saslprep_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_scram
test_unit_proto_check_scram_SOURCES = test/unit/proto/check_scram.c $(FAILING_CRYPTO_FILES)
test_unit_proto_check_scram_LDADD = $(UNIT_LIBS)
test_unit_proto_check_scram_CFLAGS = $(UNIT_CFLAGS)
test_unit_proto_check_scram_LDFLAGS = $(FAILING_CRYPTO_LINK)

check_PROGRAMS += test/unit/proto/check_scram_client
test_unit_proto_check_scram_client_SOURCES = test/unit/proto/check_scram_client.c $(FAILING_CRYPTO_FILES)
test_unit_proto_check_scram_client_LDADD = $(UNIT_LIBS)
test_unit_proto_check_scram_client_CFLAGS = $(UNIT_CFLAGS)
test_unit_proto_check_scram_client_LDFLAGS = $(FAILING_CRYPTO_LINK)

check_PROGRAMS += test/unit/proto/check_scram_server
test_unit_proto_check_scram_server_SOURCES = test/unit/proto/check_scram_server.c $(FAILING_CRYPTO_FILES)
test_unit_proto_check_scram_server_LDADD = $(UNIT_LIBS)
test_unit_proto_check_scram_server_CFLAGS = $(UNIT_CFLAGS)
test_unit_proto_check_scram_server_LDFLAGS = $(FAILING_CRYPTO_LINK)

check_PROGRAMS += test/unit/proto/check_shape
test_unit_proto_check_shape_SOURCES = test/unit/proto/check_shape.c
test_unit_proto_check_shape_LDADD = $(UNIT_LIBS)
test_unit_proto_check_shape_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_startup
test_unit_proto_check_startup_SOURCES = test/unit/proto/check_startup.c
test_unit_proto_check_startup_LDADD = $(UNIT_LIBS)
test_unit_proto_check_startup_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_tag
test_unit_proto_check_tag_SOURCES = test/unit/proto/check_tag.c
test_unit_proto_check_tag_LDADD = $(UNIT_LIBS)
test_unit_proto_check_tag_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/proto/check_proxy
test_unit_proto_check_proxy_SOURCES = test/unit/proto/check_proxy.c
test_unit_proto_check_proxy_LDADD = $(UNIT_LIBS)
test_unit_proto_check_proxy_CFLAGS = $(UNIT_CFLAGS)
