/*
 * compat.h: what differs between PostgreSQL 15 and 18, under the newest version's signature.
 *
 * The only place that tests PG_VERSION_NUM. Each shim says which version changed what; it goes
 * away when the older version is no longer supported.
 */
#pragma once

#include "civitas/pg/server.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "Civitas supports PostgreSQL 15 to 18"
#endif

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_node.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::pg {

/*
 * What a statement that is analysed by hand may do with a relation. 16 moved this from the range
 * table entry to RTEPermissionInfo.
 */
#if PG_VERSION_NUM >= 160000
inline void require_right(ParseNamespaceItem *item, AclMode right)
{
	item->p_perminfo->requiredPerms = right;
}
inline void require_insert_into(ParseNamespaceItem *item, int attribute)
{
	item->p_perminfo->insertedCols = bms_add_member(item->p_perminfo->insertedCols,
													attribute - FirstLowInvalidHeapAttributeNumber);
}
inline void check_rights(ParseState *state, ParseNamespaceItem *item)
{
	ExecCheckPermissions(state->p_rtable, list_make1(item->p_perminfo), true);
}
#else
inline void require_right(ParseNamespaceItem *item, AclMode right)
{
	item->p_rte->requiredPerms = right;
}
inline void require_insert_into(ParseNamespaceItem *item, int attribute)
{
	item->p_rte->insertedCols =
		bms_add_member(item->p_rte->insertedCols, attribute - FirstLowInvalidHeapAttributeNumber);
}
inline void check_rights(ParseState *state, ParseNamespaceItem *)
{
	ExecCheckRTPerms(state->p_rtable, true);
}
#endif
/* A wait set that lives until it is freed; 17 replaced the memory context by a resource owner. */
inline WaitEventSet *create_wait_set(int event_count)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(nullptr, event_count);
#else
	return CreateWaitEventSet(TopMemoryContext, event_count);
#endif
}

/* This backend's number among all processes of the server, from 0; 17 renamed it. */
inline int backend_slot()
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

/* Where the value of a setting comes from; 16 exports the look-up itself. */
GucSource setting_source(const char *name);

/* Number of the current transaction within this backend; 17 moved it into a struct. */
inline LocalTransactionId local_transaction_id()
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

} // namespace civitas::pg
