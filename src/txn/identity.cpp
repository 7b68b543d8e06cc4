/*
 * identity.cpp: who a backend is in the cluster, and the SQL functions of this module.
 *
 * A global pid is node id * 10^10 + process id; the node id is 0 while the server does not know its
 * own. A session opened by another node has proven the global pid of the backend that it works for
 * (node_proof.cpp); application_name shows it to people, and nothing here believes that.
 */
#include "civitas/pg/server.h"

#include "recorded_commands.h"
#include "transaction_state.h"

#include "civitas/catalog/node_session.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

constexpr int64 NODE_FACTOR = INT64CONST(10000000000);

} // namespace

bool is_internal_session()
{
	return catalog::is_node_session() && !is_recording();
}

int64 own_global_pid()
{
	int64 node = 0;
	if (IsTransactionState() && catalog::extension_installed())
	{
		const catalog::Node *self = catalog::find_primary(catalog::local_group_id());
		if (self != nullptr)
			node = self->node_id;
	}
	return node * NODE_FACTOR + MyProcPid;
}

int64 global_pid()
{
	/* A session of another node acts for the backend that opened it. */
	const int64 proven = catalog::node_session_global_pid();
	return proven != 0 ? proven : own_global_pid();
}

int32 node_of(int64 gpid)
{
	return static_cast<int32>(gpid / NODE_FACTOR);
}

int32 pid_of(int64 gpid)
{
	return static_cast<int32>(gpid % NODE_FACTOR);
}

} // namespace civitas::txn

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_backend_gpid);
PG_FUNCTION_INFO_V1(citus_calculate_gpid);
PG_FUNCTION_INFO_V1(citus_nodeid_for_gpid);
PG_FUNCTION_INFO_V1(citus_pid_for_gpid);
PG_FUNCTION_INFO_V1(assign_distributed_transaction_id);
PG_FUNCTION_INFO_V1(get_current_transaction_id);
PG_FUNCTION_INFO_V1(recover_prepared_transactions);

/* citus_backend_gpid() → bigint. */
PGDLLEXPORT Datum citus_backend_gpid(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(txn::global_pid());
}

/* citus_calculate_gpid(nodeid, pid) → bigint. */
PGDLLEXPORT Datum citus_calculate_gpid(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_INT32(0) * txn::NODE_FACTOR + PG_GETARG_INT32(1));
}

/* citus_nodeid_for_gpid(gpid) → integer; null while the node is not known. */
PGDLLEXPORT Datum citus_nodeid_for_gpid(PG_FUNCTION_ARGS)
{
	const int64 node = PG_GETARG_INT64(0) / txn::NODE_FACTOR;
	if (node < 0 || node > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid global pid")));
	PG_RETURN_INT32(static_cast<int32>(node));
}

/* citus_pid_for_gpid(gpid) → integer. */
PGDLLEXPORT Datum citus_pid_for_gpid(PG_FUNCTION_ARGS)
{
	const int64 pid = PG_GETARG_INT64(0) % txn::NODE_FACTOR;
	if (pid < 0 || pid > PG_INT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid global pid")));
	PG_RETURN_INT32(static_cast<int32>(pid));
}

/* assign_distributed_transaction_id(node, number, stamp), citus_internal.join_transaction(the same,
 * gpid): the transaction here is a part of that one, which that backend began. */
PGDLLEXPORT Datum assign_distributed_transaction_id(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	if (txn::distributed_id() != nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the transaction has a distributed transaction id already")));
	if (PG_GETARG_INT64(1) <= 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the number of a distributed transaction must be positive")));
	const int64 gpid = PG_NARGS() > 3 ? PG_GETARG_INT64(3) : txn::global_pid();
	txn::join_distributed_transaction(PG_GETARG_INT32(0), PG_GETARG_INT64(1),
									  PG_GETARG_TIMESTAMPTZ(2), gpid);
	PG_RETURN_VOID();
}

/* get_current_transaction_id() → (database, pid, initiator node, number, stamp); number 0: not
 * assigned. */
PGDLLEXPORT Datum get_current_transaction_id(PG_FUNCTION_ARGS)
{
	TupleDesc type;
	if (get_call_result_type(fcinfo, nullptr, &type) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("a row is expected as result")));
	const txn::DistributedId *id = txn::distributed_id();
	Datum values[5] = {ObjectIdGetDatum(MyDatabaseId), Int32GetDatum(MyProcPid)};
	bool nulls[5] = {false, false, false, false, id == nullptr};
	values[2] = Int32GetDatum(id != nullptr ? id->initiator : 0);
	values[3] = Int64GetDatum(id != nullptr ? static_cast<int64>(id->number) : 0);
	values[4] = TimestampTzGetDatum(id != nullptr ? id->stamp : 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(type), values, nulls)));
}

/* recover_prepared_transactions() → number of transaction parts that were finished. */
PGDLLEXPORT Datum recover_prepared_transactions(PG_FUNCTION_ARGS)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to recover prepared transactions")));
	PG_RETURN_INT32(txn::recover_transactions());
}

CIVITAS_PG_END
