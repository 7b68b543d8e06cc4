/*
 * wait_graph.h: who waits for whom in the cluster, and which transactions must give way.
 *
 * The vertices are transactions (all sessions of a distributed transaction are one vertex, named by
 * the global pid of the backend that started it) and single sessions outside of one. The nodes are
 * asked one after another while the world moves on, so one look proves nothing: the edges are
 * collected twice, and those count that are in both with the same beginning of the wait. Every one
 * of them was there at the moment between the two looks, hence a cycle of them is a deadlock.
 *
 * Plain data in and out, so that the server zone may call it through pg::call_core.
 */
#pragma once

#include <cstdint>
#include <span>

namespace civitas::commit {

/* One end of a wait. */
struct Waiter
{
	std::int64_t vertex;
	/* The backend that this one works for, where that is another vertex: it waits for `vertex`, not
	 * the other way round. Else equal to `vertex`. */
	std::int64_t initiator;
	/* The distributed transaction; 0: none. */
	std::uint64_t number;
	/* When it began; counts only where there is a number. */
	std::int64_t stamp;

	bool operator==(const Waiter&) const = default;
};

/* `waiting` has waited since `start` for something that `blocking` holds or is to get first. */
struct WaitEdge
{
	Waiter waiting;
	Waiter blocking;
	std::int64_t start;

	bool operator==(const WaitEdge&) const = default;
};

struct Victim
{
	std::int64_t vertex;
	std::uint64_t number;

	bool operator==(const Victim&) const = default;
};

/*
 * The transactions to cancel so that no cycle is left, in order of their names: of each set of
 * vertices that reach one another the youngest distributed transaction, again until there is no
 * such set with one. The same edges give the same victims in whatever order, so that every node
 * comes to the same conclusion. A wait for itself counts only for a distributed transaction, whose
 * own sessions block one another until its end.
 * Writes at most out.size() victims; returns how many there are.
 */
int find_victims(std::span<const WaitEdge> first, std::span<const WaitEdge> second,
				 std::span<Victim> out);

} // namespace civitas::commit
