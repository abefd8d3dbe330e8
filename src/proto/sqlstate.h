/*
 * sqlstate - the SQLSTATEs that pgweir sends or recognises, named as PostgreSQL names them, and
 * what their classes mean. Source: PostgreSQL manual, appendix "PostgreSQL Error Codes".
 */
#ifndef PGWEIR_PROTO_SQLSTATE_H
#define PGWEIR_PROTO_SQLSTATE_H

#define SQLSTATE_LEN 5u /* characters */

/* What its first two characters mean, as the manual has it; "": no class of PostgreSQL's. */
const char *sqlstate_class_name(const char *sqlstate);

/* 00, 01: success and warning */
#define SQLSTATE_SUCCESSFUL_COMPLETION "00000"
#define SQLSTATE_WARNING               "01000"

/* 08: connection exception */
#define SQLSTATE_CONNECTION_EXCEPTION           "08000"
#define SQLSTATE_SQLCLIENT_CANNOT_CONNECT       "08001"
#define SQLSTATE_CONNECTION_DOES_NOT_EXIST      "08003"
#define SQLSTATE_SQLSERVER_REJECTED_CONNECTION  "08004"
#define SQLSTATE_CONNECTION_FAILURE             "08006"
#define SQLSTATE_TRANSACTION_RESOLUTION_UNKNOWN "08007"
#define SQLSTATE_PROTOCOL_VIOLATION             "08P01"

/* 0A, 22: not supported; data */
#define SQLSTATE_FEATURE_NOT_SUPPORTED    "0A000"
#define SQLSTATE_INVALID_PARAMETER_VALUE  "22023"
#define SQLSTATE_UNTRANSLATABLE_CHARACTER "22P05"

/* 25: transaction state */
#define SQLSTATE_ACTIVE_SQL_TRANSACTION      "25001"
#define SQLSTATE_READ_ONLY_SQL_TRANSACTION   "25006"
#define SQLSTATE_NO_ACTIVE_SQL_TRANSACTION   "25P01"
#define SQLSTATE_IN_FAILED_SQL_TRANSACTION   "25P02"
#define SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT "25P03"
#define SQLSTATE_TRANSACTION_TIMEOUT         "25P04"

/* 26, 28, 34, 3D: names and identity */
#define SQLSTATE_INVALID_SQL_STATEMENT_NAME          "26000"
#define SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION "28000"
#define SQLSTATE_INVALID_PASSWORD                    "28P01"
#define SQLSTATE_INVALID_CURSOR_NAME                 "34000"
#define SQLSTATE_INVALID_CATALOG_NAME                "3D000"

/* 40: rollback */
#define SQLSTATE_SERIALIZATION_FAILURE "40001"
#define SQLSTATE_DEADLOCK_DETECTED     "40P01"

/* 42: syntax or access rule */
#define SQLSTATE_INSUFFICIENT_PRIVILEGE       "42501"
#define SQLSTATE_SYNTAX_ERROR                 "42601"
#define SQLSTATE_UNDEFINED_OBJECT             "42704"
#define SQLSTATE_DUPLICATE_CURSOR             "42P03"
#define SQLSTATE_DUPLICATE_PREPARED_STATEMENT "42P05"

/* 53: resources; 54: program limits; 55: prerequisite state */
#define SQLSTATE_INSUFFICIENT_RESOURCES           "53000"
#define SQLSTATE_OUT_OF_MEMORY                    "53200"
#define SQLSTATE_TOO_MANY_CONNECTIONS             "53300"
#define SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED     "53400"
#define SQLSTATE_PROGRAM_LIMIT_EXCEEDED           "54000"
#define SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE "55000"
#define SQLSTATE_CANT_CHANGE_RUNTIME_PARAM        "55P02"
#define SQLSTATE_LOCK_NOT_AVAILABLE               "55P03"

/* 57: operator intervention; 58: system; XX: internal */
#define SQLSTATE_QUERY_CANCELED       "57014"
#define SQLSTATE_ADMIN_SHUTDOWN       "57P01"
#define SQLSTATE_CRASH_SHUTDOWN       "57P02"
#define SQLSTATE_CANNOT_CONNECT_NOW   "57P03"
#define SQLSTATE_DATABASE_DROPPED     "57P04"
#define SQLSTATE_IDLE_SESSION_TIMEOUT "57P05"
#define SQLSTATE_SYSTEM_ERROR         "58000"
#define SQLSTATE_INTERNAL_ERROR       "XX000"
#define SQLSTATE_DATA_CORRUPTED       "XX001"
#define SQLSTATE_INDEX_CORRUPTED      "XX002"

#endif
