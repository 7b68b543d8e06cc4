/*
 * subtransaction.cpp: errors as values without leaving their traces behind.
 *
 * A PG_CATCH that goes on needs a subtransaction: only its end gives back what the failed work held.
 */
#include "civitas/pg/subtransaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
CIVITAS_PG_END

namespace civitas::pg {

ErrorData *error_of_subtransaction(void (*body)(void *), void *argument)
{
	const MemoryContext context = CurrentMemoryContext;
	const ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = nullptr;
	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(argument);
		MemoryContextSwitchTo(context);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

bool look_up_after_error(void (*body)(void *), void *argument)
{
	if (!IsTransactionState() || IsInParallelMode())
		return false;
	LWLockReleaseAll();
	UnlockBuffers();
	ConditionVariableCancelSleep();
	LockErrorCleanup();
	return error_of_subtransaction(body, argument) == nullptr;
}

} // namespace civitas::pg
