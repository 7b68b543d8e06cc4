/*
 * setting_table.cpp: which settings of a session are carried to other nodes, and why the others are not.
 *
 * One that can change an answer, an error or what is stored is in force wherever a part of the statement
 * runs: it travels, by value, wherever it was set (SET, the role, the database, the configuration). One
 * that says how fast, how loud or how long stays: it means this server, or is the business of who runs the
 * other one. A name that ends in * stands for all that begin so; the first row that fits counts.
 *
 * What is a matter of a server's storage and durability is its own, too: a node may be configured for more
 * than the asking one.
 *
 * Every setting that a session can change has a row; a regression test asks for it with each version of
 * PostgreSQL.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "fmgr.h"
#include "utils/builtins.h"
CIVITAS_PG_END

#include <span>

namespace civitas::txn {

namespace {

struct Row
{
	const char *name;
	bool travels;
	const char *why;
};

constexpr Row rows[] = {
	/* First, so that the values of those after it are read as they were written. */
	{"standard_conforming_strings", true, "how literals in functions' bodies are read"},
	{"backslash_quote", true, "the same"},
	{"transform_null_equals", true, "what x = NULL means in functions' bodies"},
	{"check_function_bodies", true, "whether a function is refused"},
	{"TimeZone", true, "dates and times in and out"},
	{"timezone_abbreviations", true, "what MST means in a literal"},
	{"DateStyle", true, "dates in and out"},
	{"IntervalStyle", true, "intervals in and out"},
	{"lc_monetary", true, "money in and out, to_char(.., 'L')"},
	{"lc_numeric", true, "to_char(.., 'D'), to_number()"},
	{"lc_time", true, "to_char(.., 'TMMonth')"},
	{"extra_float_digits", true, "floats as text"},
	{"bytea_output", true, "bytea as text"},
	{"xmlbinary", true, "bytea in XML"},
	{"xmloption", true, "what is valid XML"},
	{"array_nulls", false,
	 "text between nodes says NULL for NULL; COPY reads lines here where it is off"},
	{"quote_all_identifiers", true, "quote_ident(), format('%I'), pg_get_viewdef()"},
	{"default_text_search_config", true, "to_tsvector() of one argument"},
	{"gin_fuzzy_search_limit", true, "how many rows an index gives"},
	{"search_path", true, "names in functions' bodies, casts to regclass"},
	{"row_security", true, "whether policies are an error"},
	{"session_replication_role", true, "whether triggers and foreign keys are looked at"},
	{"lock_timeout", true, "when a wait for a row is an error"},
	{"createrole_self_grant", true, "what CREATE ROLE grants"},

	{"role", false, "a session is one role's"},
	{"session_authorization", false, "a session is one role's"},
	{"is_superuser", false, "says what the role is"},
	{"application_name", false, "sessions between nodes are known by theirs"},
	{"client_encoding", false,
	 "sessions between nodes use the database's; the client's is applied here"},
	{"client_min_messages", false, "applied here to what other nodes say"},
	{"transaction_*", false, "part of BEGIN; what has run too long is stopped here"},
	{"default_transaction_*", false,
	 "what they lead to is part of BEGIN; sessions between nodes have PostgreSQL's own"},
	{"statement_timeout", false,
	 "measured here, where the whole is seen; what runs elsewhere is cancelled"},
	{"idle_in_transaction_session_timeout", false, "measured here"},
	{"idle_session_timeout", false, "measured here"},
	{"deadlock_timeout", false, "when a node looks for deadlocks"},
	{"default_table_access_method", false,
	 "a table's own is written out when it is made elsewhere"},
	{"default_toast_compression", false, "how a server stores its rows"},
	{"synchronous_commit", false, "each server has its own disk and standbys"},
	{"default_tablespace", false, "tablespaces are a server's own"},
	{"temp_tablespaces", false, "tablespaces are a server's own"},
	{"password_encryption", false, "a password travels as its hash, made here"},
	{"scram_iterations", false, "a password travels as its hash, made here"},
	{"md5_password_warnings", false, "said here"},
	{"restrict_nonsystem_relation_kind", false, "which relations of a statement are refused here"},
	{"lo_compat_privileges", false, "large objects are a server's own"},
	{"event_triggers", false, "event triggers fire where the client's statement runs"},
	{"seed", false, "random() without a row's columns is evaluated here"},
	{"escape_string_warning", false, "a warning about text that is read here"},
	{"composite_type_mismatch", false, "an emergency of one server"},
	{"zero_damaged_pages", false, "an emergency of one server"},
	{"ignore_checksum_failure", false, "an emergency of one server"},
	{"ignore_system_indexes", false, "an emergency of one server"},
	{"allow_system_table_mods", false, "an emergency of one server"},
	{"allow_in_place_tablespaces", false, "tablespaces are a server's own"},
	{"icu_validation_level", false, "checked where the collation is made first"},
	{"exit_on_error", false, "this session's end"},
	{"lc_messages", false, "the language of a server's messages, which is its log's, too"},
	{"max_stack_depth", false, "what a server's stack bears"},
	{"dynamic_library_path", false, "where a server's files are"},
	{"extension_destdir", false, "where a server's files are"},
	{"extension_control_path", false, "where a server's files are"},
	{"local_preload_libraries", false, "read when a session begins"},
	{"session_preload_libraries", false, "read when a session begins"},
	{"output_plugin_libraries", false, "replication of one server"},
	{"wal_sender_timeout", false, "replication of one server"},
	{"logical_decoding_work_mem", false, "replication of one server"},
	{"wal_sender_shutdown_timeout", false, "replication of one server"},
	{"synchronize_seqscans", false, "an order that nobody asked for"},
	{"stats_fetch_consistency", false, "statistics of one server"},
	{"trace_*", false, "what is logged"},
	{"log_*", false, "what is logged"},
	{"debug_*", false, "what is logged or tried by developers"},
	{"backtrace_functions", false, "what is logged"},
	{"track_*", false, "what is counted"},
	{"compute_query_id", false, "what is counted"},
	{"update_process_title", false, "what is shown"},
	{"enable_*", false, "plans, not answers"},
	{"geqo*", false, "plans, not answers"},
	{"jit*", false, "plans, not answers"},
	{"force_parallel_mode", false, "plans, not answers"},
	{"max_parallel_*", false, "plans, not answers"},
	{"min_parallel_*", false, "plans, not answers"},
	{"parallel_*", false, "plans, not answers"},
	{"cpu_*", false, "plans, not answers"},
	{"seq_page_cost", false, "plans, not answers"},
	{"random_page_cost", false, "plans, not answers"},
	{"effective_*", false, "plans, not answers"},
	{"cursor_tuple_fraction", false, "plans, not answers"},
	{"constraint_exclusion", false, "plans, not answers"},
	{"from_collapse_limit", false, "plans, not answers"},
	{"join_collapse_limit", false, "plans, not answers"},
	{"plan_cache_mode", false, "plans, not answers"},
	{"recursive_worktable_factor", false, "plans, not answers"},
	{"default_statistics_target", false, "plans, not answers"},
	{"work_mem", false, "memory of one server"},
	{"hash_mem_multiplier", false, "memory of one server"},
	{"maintenance_*", false, "memory and speed of one server"},
	{"temp_buffers", false, "memory of one server"},
	{"temp_file_limit", false, "disk of one server"},
	{"backend_flush_after", false, "speed of one server"},
	{"io_*", false, "speed of one server"},
	{"file_copy_method", false, "speed of one server"},
	{"vacuum_*", false, "maintenance of one server"},
	{"gin_pending_list_limit", false, "speed of one server"},
	{"commit_*", false, "speed of one server"},
	{"wal_*", false, "speed of one server"},
	{"tcp_*", false, "the client's connection"},
	{"client_connection_check_interval", false, "the client's connection"},
	{"post_auth_delay", false, "tried by developers"},
	{"pre_auth_delay", false, "tried by developers"},
};

/* With a dot. */
constexpr Row custom_rows[] = {
	{"citus.*", false, "carried by what they steer, where it runs elsewhere"},
	{"auto_explain.*", false, "what is logged"},
	{"pgaudit.*", false, "what is logged"},
	{"pg_stat_statements.*", false, "what is counted"},
	{"pg_hint_plan.*", false, "plans, not answers"},
	/* Of extensions, and the application's own: functions, policies and defaults read them. */
	{"*", true, "known to extensions and to the application"},
};

bool fits(const char *pattern, const char *name)
{
	const size_t length = strlen(pattern);
	if (pattern[length - 1] == '*')
		return pg_strncasecmp(pattern, name, length - 1) == 0;
	return pg_strcasecmp(pattern, name) == 0;
}

} // namespace

const char *travelling_setting(int index)
{
	for (const Row& row : rows)
		if (row.travels && strchr(row.name, '*') == nullptr && index-- == 0)
			return row.name;
	return nullptr;
}

bool setting_travels(const char *name, bool *known)
{
	const std::span<const Row> candidates = strchr(name, '.') != nullptr
												? std::span<const Row>(custom_rows)
												: std::span<const Row>(rows);
	for (const Row& row : candidates)
		if (fits(row.name, name))
		{
			*known = true;
			return row.travels;
		}
	*known = false;
	return false;
}

} // namespace civitas::txn

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_setting_travels);

/* setting_travels(name): whether other nodes are told its value; null: the table has no row for it. */
PGDLLEXPORT Datum citus_internal_setting_travels(PG_FUNCTION_ARGS)
{
	bool known;
	const bool travels =
		civitas::txn::setting_travels(text_to_cstring(PG_GETARG_TEXT_PP(0)), &known);
	if (!known)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(travels);
}

CIVITAS_PG_END
