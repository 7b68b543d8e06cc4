/*
 * shell_scans.h: no plan reads or changes a shell.
 */
#pragma once

namespace civitas::executor {

/* Every plan that is started is looked at: XX000 where it opens the shell of a distributed table. */
void shell_scans_init();

} // namespace civitas::executor
