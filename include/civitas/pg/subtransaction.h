/*
 * subtransaction.h: work whose errors are values, and look-ups after an error.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "utils/elog.h"
CIVITAS_PG_END

#include <type_traits>

namespace civitas::pg {

/*
 * Runs body(argument) in a subtransaction of its own. null: it went well. Else the error, in
 * CurrentMemoryContext; what the body held and wrote is given up. A memory context that the body made below
 * CurrentMemoryContext stays.
 */
ErrorData *error_of_subtransaction(void (*body)(void *), void *argument);
template <typename Body> ErrorData *error_of_subtransaction(Body&& body)
{
	return error_of_subtransaction(
		[](void *argument) { (*static_cast<std::remove_reference_t<Body> *>(argument))(); }, &body);
}

/*
 * For a PG_CATCH block that goes on to raise its error, after FlushErrorState(): the work that failed may
 * have left locks of the server's inner workings behind, so a look into a catalog could wait for ourselves.
 * They are let go as the end of the transaction would, and body(argument) runs in a subtransaction. False:
 * it did not come to its end, or no subtransaction is possible here (parallel mode).
 */
bool look_up_after_error(void (*body)(void *), void *argument);
template <typename Body> bool look_up_after_error(Body&& body)
{
	return look_up_after_error(
		[](void *argument) { (*static_cast<std::remove_reference_t<Body> *>(argument))(); }, &body);
}

} // namespace civitas::pg
