/*
 * secret.h: handing the cluster's secret to other nodes.
 */
#pragma once

#include "civitas/base/secret.h"
#include "civitas/pg/server.h"

namespace civitas::cluster {

/* The cluster's secret, wrapped for who knows `key`, as the text of a bytea. In
 * CurrentMemoryContext. */
char *wrapped_secret(const Secret& key);

} // namespace civitas::cluster
