/*
 * disk_space.h: is there room for what is to be copied?
 */
#pragma once

#include "transfer.h"

namespace civitas::cluster {

/* 53100 when a target's disk would have less than citus.desired_percent_disk_available_after_move
 * left. */
void check_disk_space(Transfers transfers);

void disk_space_init();

} // namespace civitas::cluster
