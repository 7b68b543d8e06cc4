/*
 * own_publications.h: publications that moves and their relatives make for a while.
 */
#pragma once

namespace civitas::ddl {

/* What their names begin with. A table may become one of the metadata while such a one holds it. */
constexpr char OWN_PUBLICATION_PREFIX[] = "citus_shard_move_publication_";

} // namespace civitas::ddl
