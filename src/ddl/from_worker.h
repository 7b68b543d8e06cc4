/*
 * from_worker.h: DDL that was typed on a node that is not the coordinator.
 */
#pragma once

#include "utility_call.h"

namespace civitas::ddl {

/* Whether the statement, typed on a worker, is about the whole cluster: tables of the metadata,
 * objects that are on every node, or new ones. */
bool is_for_coordinator(Node *statement);
/* The coordinator carries it out, on this node too, in this transaction. */
void run_through_coordinator(const UtilityCall& call);

} // namespace civitas::ddl
