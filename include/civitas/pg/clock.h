/*
 * clock.h: time for measuring and waiting, which nobody sets back or forth.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "datatype/timestamp.h"
CIVITAS_PG_END

#include <ctime>

namespace civitas::pg {

/* Microseconds since some moment, so that the server's arithmetic of timestamps fits; to be compared with
 * nothing but itself, on this machine. */
inline TimestampTz monotonic_now()
{
	timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return int64{time.tv_sec} * USECS_PER_SEC + time.tv_nsec / 1000;
}

} // namespace civitas::pg
