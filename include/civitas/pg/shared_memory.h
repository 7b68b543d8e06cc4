/*
 * shared_memory.h: what a module keeps in the server's shared memory, from its start to its end.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "storage/lwlock.h"
CIVITAS_PG_END

namespace civitas::pg {

/* One module's part. The object lives as long as the process. */
struct SharedMemory
{
	/* Bytes; called when the numbers of backends and the like are known. */
	Size (*size)();
	/* Finds or makes it (shared_struct(), ShmemInitHash()); one process at a time. */
	void (*attach)();
	const char *lock_name; /* an LWLock to go with it, see shared_lock(); null: none */
	SharedMemory *next;
};
CIVITAS_SERVER_STATE(SharedMemory);

/* To be called while the library is being loaded. */
void use_shared_memory(SharedMemory *memory);

/* In attach(): the structure of that name. Zeroed, and *fresh set, where it had to be made. */
void *shared_struct(const char *name, Size size, bool *fresh);
/* In attach(): the lock of that name. */
::LWLock *shared_lock(const char *name);

} // namespace civitas::pg
