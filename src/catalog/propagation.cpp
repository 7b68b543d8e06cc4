/*
 * propagation.cpp: the flag that keeps the hooks away from statements that are part of a
 * distributed change.
 */
#include "civitas/catalog/propagation.h"
#include "civitas/pg/compat.h"

namespace civitas::catalog {

bool propagation_suspended = false;

void run_suspended(void (*body)(void *), void *argument)
{
	const bool before = propagation_suspended;
	propagation_suspended = true;
	PG_TRY();
	{
		body(argument);
	}
	PG_FINALLY();
	{
		propagation_suspended = before;
	}
	PG_END_TRY();
}

namespace {

LocalTransactionId moving_in = InvalidLocalTransactionId;

} // namespace

void set_moving_rows(bool moving)
{
	moving_in = moving ? pg::local_transaction_id() : InvalidLocalTransactionId;
}

bool moving_rows()
{
	return moving_in != InvalidLocalTransactionId && moving_in == pg::local_transaction_id();
}

} // namespace civitas::catalog
