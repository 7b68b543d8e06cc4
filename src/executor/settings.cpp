/*
 * settings.cpp: the settings that steer executions.
 */
#include "civitas/executor/scan.h"
#include "execution.h"

CIVITAS_PG_BEGIN
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::executor {

int max_adaptive_executor_pool_size = 16;
bool enable_binary_protocol = true;
bool enable_local_execution = true;
bool explain_all_tasks = false;
int explain_analyze_sort_method = SORT_EXECUTION_TIME;
int task_assignment_policy = ASSIGN_GREEDY;
int multi_shard_modify_mode = MODIFY_PARALLEL;
int remote_task_check_interval = 10;
int slow_start_interval = 10;

namespace {

constexpr const char POOL_SIZE[] = "citus.max_adaptive_executor_pool_size";

const config_enum_entry assignment_policies[] = {
	{"greedy", ASSIGN_GREEDY, false},
	{"first-replica", ASSIGN_FIRST_REPLICA, false},
	{"round-robin", ASSIGN_ROUND_ROBIN, false},
	{nullptr, 0, false},
};
const config_enum_entry modify_modes[] = {
	{"parallel", MODIFY_PARALLEL, false},
	{"sequential", MODIFY_SEQUENTIAL, false},
	{nullptr, 0, false},
};
const config_enum_entry explain_sorts[] = {
	{"execution-time", SORT_EXECUTION_TIME, false},
	{"taskId", SORT_TASK_ID, false},
	{nullptr, 0, false},
};

} // namespace

void use_one_session_per_node()
{
	set_config_option(POOL_SIZE, "1", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void register_settings()
{
	DefineCustomIntVariable(POOL_SIZE, "Most sessions that one statement opens to one node.",
							"Raise it when statements over many shards should use more of a node's "
							"processors; lower it "
							"when nodes run out of connections.",
							&max_adaptive_executor_pool_size, 16, 1, INT_MAX, PGC_USERSET, 0,
							nullptr, nullptr, nullptr);
	DefineCustomBoolVariable(
		"citus.enable_binary_protocol", "Lets results travel between nodes in binary form.",
		"Turn it off to rule the binary form out when results look wrong.", &enable_binary_protocol,
		true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable(
		"citus.enable_local_execution", "Prefers the replica on this node.",
		"Turn it off to send reads of reference tables to other nodes. Shards that only this node "
		"holds are always read and written here, without a connection.",
		&enable_local_execution, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("citus.explain_all_tasks",
							 "Makes EXPLAIN show every task rather than one.",
							 "Turn it on to compare the plans of the shards.", &explain_all_tasks,
							 false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable(
		"citus.explain_analyze_sort_method", "Order of the tasks in EXPLAIN ANALYZE.",
		"taskId gives the order of the shards, execution-time the slowest first.",
		&explain_analyze_sort_method, SORT_EXECUTION_TIME, explain_sorts, PGC_USERSET, 0, nullptr,
		nullptr, nullptr);
	DefineCustomEnumVariable(
		"citus.task_assignment_policy", "Which of several replicas of a shard is read.",
		"round-robin spreads reads of reference tables over the nodes.", &task_assignment_policy,
		ASSIGN_GREEDY, assignment_policies, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable(
		"citus.multi_shard_modify_mode",
		"How many sessions a node gets for a change of many shards.",
		"sequential uses one session a node, so that later statements of the transaction see "
		"everything through it.",
		&multi_shard_modify_mode, MODIFY_PARALLEL, modify_modes, PGC_USERSET, 0, nullptr, nullptr,
		nullptr);
	DefineCustomBoolVariable(
		"citus.all_modifications_commutative",
		"Takes it that changes of the same rows may happen in any order.",
		"Turn it on where no two changes of a reference table, or of many shards, contradict each "
		"other: they then wait for each other's rows only.",
		&all_modifications_commutative, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable(
		"citus.enable_deadlock_prevention",
		"Lets changes of many shards wait for each other, so that they cannot deadlock.",
		"Turn it off to run them side by side and leave deadlocks to the search for them.",
		&enable_deadlock_prevention, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("citus.remote_task_check_interval",
							"How long an execution with tasks that wait for a session sleeps at "
							"most before it looks again.",
							nullptr, &remote_task_check_interval, 10, 1, INT_MAX, PGC_USERSET,
							GUC_UNIT_MS, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.executor_slow_start_interval",
		"Time between two sessions that a statement opens to the same node.",
		"A statement opens another one only when its tasks would keep those it has busy for longer "
		"than this and than opening one costs, and when the node has processors to spare. 0 opens "
		"one a task at once, up to citus.max_adaptive_executor_pool_size.",
		&slow_start_interval, 10, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
}

} // namespace civitas::executor
