/*
 * propagation.h: whether DDL and queries are looked at by the extension at all.
 *
 * While a change that is already distributed is carried out on a shell or on shards, the utility
 * hook and the planner must treat every statement as PostgreSQL would: that is "suspended". Per
 * backend.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

/* Read by the hooks; changed only by run_suspended(). */
extern bool propagation_suspended;

/* Runs body(argument) with propagation suspended; an error inside puts the flag back before it
 * flies on. */
void run_suspended(void (*body)(void *), void *argument);

template <typename Body> void with_propagation_suspended(Body&& body)
{
	run_suspended([](void *argument) { (*static_cast<Body *>(argument))(); }, &body);
}

/*
 * Rows are on their way into shards where they are not new: a table is being distributed, or gets
 * other shards. Their triggers are not to fire. Holds in this transaction, until it is said again.
 */
void set_moving_rows(bool moving);
bool moving_rows();

} // namespace civitas::catalog
