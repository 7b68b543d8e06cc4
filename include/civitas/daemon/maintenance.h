/*
 * maintenance.h: what a server does for its cluster in the background.
 */
#pragma once

namespace civitas::daemon {

/* Registers the launcher, its settings and shared memory; in the postmaster, at server start. */
void maintenance_init();

} // namespace civitas::daemon
