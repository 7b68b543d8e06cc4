/*
 * planner.h: the planner hook.
 */
#pragma once

namespace civitas::planner {

void planner_init();

} // namespace civitas::planner
