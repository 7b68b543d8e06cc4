/*
 * cluster_secret.h: the secret by which nodes know each other, in citus_internal.cluster_secret.
 *
 * One row is current: sessions are opened with it. All rows that are still valid are accepted, so
 * that a secret can be handed out before anybody uses it, and one that was replaced counts for a
 * while.
 */
#pragma once

#include "civitas/base/secret.h"
#include "civitas/pg/server.h"

namespace civitas::catalog {

/* The current secret, in CurrentMemoryContext; null where the extension is not installed. 55000
 * where it is lost. Whoever the current user is. Never goes into a message. */
const Secret *cluster_secret();
/* Whether accepts(secret, argument) says yes to one that is valid now. */
bool any_valid_secret(bool (*accepts)(const Secret&, void *), void *argument);

} // namespace civitas::catalog
