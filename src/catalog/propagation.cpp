/*
 * propagation.cpp: the flag that keeps the hooks away from statements that are part of a
 * distributed change.
 */
#include "civitas/catalog/propagation.h"

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

} // namespace civitas::catalog
