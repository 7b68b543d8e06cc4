/*
 * core_call_boundary.cpp: catches in C++ what the core throws, raises it as PostgreSQL's error.
 *
 * Compiled with exceptions, unlike the rest of the server zone. The message is copied to a plain
 * buffer inside the catch block; ereport runs after the block has ended and the exception object
 * is gone, so its longjmp skips nothing.
 */
#include "civitas/pg/core_call.h"
#include "civitas/pg/server.h"

#include <cstring>
#include <exception>
#include <new>

namespace civitas::pg {

void call_core_function(void (*body)(void *), void *argument)
{
	char message[256];
	bool out_of_memory = false;
	try
	{
		body(argument);
		return;
	}
	catch (const std::bad_alloc&)
	{
		out_of_memory = true;
		message[0] = '\0';
	}
	catch (const std::exception& error)
	{
		strlcpy(message, error.what(), sizeof(message));
	}
	catch (...)
	{
		strlcpy(message, "unknown exception", sizeof(message));
	}

	if (out_of_memory)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("internal error in a core module: %s", message)));
}

} // namespace civitas::pg
