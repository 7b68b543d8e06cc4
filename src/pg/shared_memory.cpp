/*
 * shared_memory.cpp: see shared_memory.h. One pair of hooks serves all modules.
 */
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::pg {

namespace {

SharedMemory *parts;
shmem_request_hook_type previous_request_hook;
shmem_startup_hook_type previous_startup_hook;

void request()
{
	if (previous_request_hook != nullptr)
		previous_request_hook();
	for (const SharedMemory *part = parts; part != nullptr; part = part->next)
	{
		RequestAddinShmemSpace(part->size());
		if (part->lock_name != nullptr)
			RequestNamedLWLockTranche(part->lock_name, 1);
	}
}

void start()
{
	if (previous_startup_hook != nullptr)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (const SharedMemory *part = parts; part != nullptr; part = part->next)
		part->attach();
	LWLockRelease(AddinShmemInitLock);
}

} // namespace

void use_shared_memory(SharedMemory *memory)
{
	if (parts == nullptr)
	{
		previous_request_hook = shmem_request_hook;
		shmem_request_hook = request;
		previous_startup_hook = shmem_startup_hook;
		shmem_startup_hook = start;
	}
	memory->next = parts;
	parts = memory;
}

void *shared_struct(const char *name, Size size, bool *fresh)
{
	bool found;
	void *memory = ShmemInitStruct(name, size, &found);
	if (!found)
		memset(memory, 0, size);
	*fresh = !found;
	return memory;
}

::LWLock *shared_lock(const char *name)
{
	return &GetNamedLWLockTranche(name)->lock;
}

} // namespace civitas::pg
