/*
 * retired.cpp: see retired.h. All retired contexts are children of one; it is emptied by the first
 * call in a transaction with another local transaction id.
 */
#include "civitas/catalog/retired.h"

#include "civitas/pg/compat.h"

namespace civitas::catalog {

namespace {

MemoryContext retired_parent = nullptr;
bool any_retired = false;
LocalTransactionId retired_in = InvalidLocalTransactionId;

} // namespace

void free_retired()
{
	if (!any_retired || pg::local_transaction_id() == retired_in)
		return;
	any_retired = false;
	MemoryContextDeleteChildren(retired_parent);
}

void retire(MemoryContext context)
{
	free_retired();
	if (retired_parent == nullptr)
		retired_parent =
			AllocSetContextCreate(TopMemoryContext, "citus retired metadata", ALLOCSET_SMALL_SIZES);
	MemoryContextSetParent(context, retired_parent);
	any_retired = true;
	retired_in = pg::local_transaction_id();
}

} // namespace civitas::catalog
