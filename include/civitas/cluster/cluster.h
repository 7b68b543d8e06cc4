/*
 * cluster.h: the set of nodes: adding, activating, removing, asking them.
 */
#pragma once

#include "civitas/catalog/nodes.h"

#include <span>

namespace civitas::cluster {

/* One command on one node, in a session and a transaction of its own. */
struct NodeTask
{
	catalog::Node node; /* this server: over loopback, as it is outside of our transaction */
	const char *sql;
	/* Set by run_tasks(), in CurrentMemoryContext. */
	bool success;
	bool connected;
	const char
		*result; /* the first column of the only row, the command tag, or the error's message */
	const ErrorData
		*error;		  /* what failed, with all that the node said; null: nothing, or only a result
							 * of the wrong shape */
	char sqlstate[6]; /* of the error; empty where there is none */
	/* How the session is introduced: */
	bool users = false;	  /* the text is a user's own */
	bool unknown = false; /* not a node of the cluster, perhaps: it is told nothing */
	bool ignores_pauses = false;
};
CIVITAS_SERVER_STATE(NodeTask);

/* Runs them, many at once if `parallel`; errors of the nodes become results. Only cancellation
 * raises. */
void run_tasks(std::span<NodeTask> tasks, bool parallel);
/* Raises what made the task fail: SQLSTATE, message, detail and hint as the node gave them, and which
 * node it was. */
[[noreturn]] void raise_task_error(const NodeTask& task);

/* This very server as a node, registered or not. */
catalog::Node local_node();

/* Whether a session to the node can be opened and answers. Only cancellation raises. */
bool is_reachable(const catalog::Node& node);

/* Drops what moves and splits have left, as far as possible now. False: something is left to be
 * dropped later. In a transaction, on the coordinator. */
bool clean_up_in_background();
/* Called before something is made that will have to be cleaned up; set by the daemon, to be null
 * otherwise. */
extern void (*litter_hook)();

/* Called after a change of nodes was committed; `someone_behind`: a node could not be told of it. Set by the daemon, to be
 * null otherwise. Must not raise. */
extern void (*nodes_changed_hook)(bool someone_behind);
/* Tells the nodes that do not have the newest rows of pg_dist_node. Returns how many still do not: they cannot be reached or
 * written. In a transaction, on the coordinator, as superuser; gives way to other changes of nodes. */
int sync_nodes();

void cluster_init();

} // namespace civitas::cluster
