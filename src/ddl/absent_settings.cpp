/*
 * absent_settings.cpp: settings of the public API that this version does not have, and the prefix.
 *
 * A name that nobody knows must not be taken for a setting that works. The prefix is reserved, so that
 * typos are refused by the server itself; in configuration files it warns and starts. Names that scripts
 * for the API use and that steer nothing here are known, hidden, and take the one value that says what this
 * version does anyway, if there is one.
 */
#include "civitas/ddl/absent_settings.h"

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "utils/builtins.h"
#include "utils/guc.h"
CIVITAS_PG_END

#include <iterator>
#include <utility>

namespace civitas::ddl {

namespace {

struct Absent
{
	const char *name;
	const char *value; /* what this version does; empty: no value says that */
	const char *hint;
};

constexpr Absent absent[] = {
	{"citus.coordinator_aggregation_strategy", "row-gather",
	 "Aggregates are computed in parts on the nodes where they can be combined, else from all "
	 "rows."},
	{"citus.count_distinct_error_rate", "0", "count(DISTINCT ..) is exact."},
	{"citus.cpu_priority", "0", "Priorities of processes are left to the operating system."},
	{"citus.cpu_priority_for_logical_replication_senders", "inherit",
	 "Priorities of processes are left to the operating system."},
	{"citus.enable_change_data_capture", "off",
	 "Read the changes of the shards, on each node that has some."},
	{"citus.enable_create_database_propagation", "off",
	 "Create the database and the extension on each node, then add the nodes to it."},
	{"citus.enable_repartition_joins", "on", "Every join is possible."},
	{"citus.enable_schema_based_sharding", "off",
	 "Distribute the tables of the schema by a column."},
	{"citus.limit_clause_row_fetch_count", "-1", "LIMIT is exact."},
	{"citus.local_table_join_policy", "auto", "Costs decide which side of a join travels."},
	{"citus.max_client_connections", "-1",
	 "Use max_connections, or ALTER ROLE .. CONNECTION LIMIT."},
	{"citus.max_high_priority_background_processes", "",
	 "Priorities of processes are left to the operating system."},
	{"citus.max_intermediate_result_size", "-1", "There is no limit; temp_file_limit sets one."},
	{"citus.max_matview_size_to_auto_recreate", "", "There is no limit."},
	{"citus.max_worker_nodes_tracked", "", "There is no limit."},
	{"citus.multi_task_query_log_level", "off", "EXPLAIN shows how many tasks a statement has."},
	{"citus.skip_constraint_validation", "off", "Constraints are checked."},
	{"citus.skip_jsonb_validation_in_copy", "on", "The node that stores a row checks it."},
	{"citus.stat_tenants_limit", "",
	 "citus_stat_statements counts by values of distribution columns."},
	{"citus.stat_tenants_log_level", "off",
	 "citus_stat_statements counts by values of distribution columns."},
	{"citus.stat_tenants_period", "",
	 "citus_stat_statements counts by values of distribution columns."},
	{"citus.stat_tenants_track", "none",
	 "citus_stat_statements counts by values of distribution columns."},
	{"citus.stat_tenants_untracked_sample_rate", "",
	 "citus_stat_statements counts by values of distribution columns."},
	{"citus.superuser", "",
	 "Background work runs as the superuser that the server was set up with."},
	{"citus.values_materialization_threshold", "-1", "VALUES travel with the statement."},
	{"citus.writable_standby_coordinator", "off", "Write on a primary."},
};
constexpr int COUNT = std::size(absent);

char *values[COUNT];

bool is_same_value(const char *left, const char *right)
{
	bool left_on;
	bool right_on;
	return pg_strcasecmp(left, right) == 0 ||
		   (parse_bool(left, &left_on) && parse_bool(right, &right_on) && left_on == right_on);
}

template <int INDEX> bool check(char **value, void **, GucSource)
{
	const Absent& setting = absent[INDEX];
	if (is_same_value(*value, setting.value))
		return true;
	GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	GUC_check_errmsg("setting \"%s\" is not there in this version", setting.name);
	GUC_check_errhint("%s", setting.hint);
	return false;
}

template <int INDEX> void define()
{
	DefineCustomStringVariable(absent[INDEX].name, "Not there in this version.", nullptr,
							   &values[INDEX], absent[INDEX].value, PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, check<INDEX>, nullptr, nullptr);
}

template <int... INDEXES> void define_all(std::integer_sequence<int, INDEXES...>)
{
	(define<INDEXES>(), ...);
}

} // namespace

void absent_settings_init()
{
	define_all(std::make_integer_sequence<int, COUNT>());
	MarkGUCPrefixReserved("citus");
}

} // namespace civitas::ddl
