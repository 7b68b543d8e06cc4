/*
 * gid.h: names of the parts of a distributed transaction, and what recovery does with a part it
 * finds prepared.
 *
 * A part is named citus_<group>_<database>_<pid>_<number>_<ordinal>: who started the transaction
 * (group of the initiating server, oid of its database, process id), the number of the transaction
 * there (never repeats, also across restarts), and which of the transaction's sessions this is.
 * Nothing here allocates or throws, so both zones may call it.
 */
#pragma once

#include "civitas/base/ids.h"

#include <cstdint>
#include <span>

namespace civitas::commit {

/* Room for any gid with its terminating zero. PostgreSQL's own limit is 200. */
inline constexpr int GID_SIZE = 96;

struct TransactionPart
{
	GroupId group;
	std::uint32_t database;
	std::int32_t pid;
	std::uint64_t number;
	std::uint32_t ordinal;

	bool operator==(const TransactionPart&) const = default;
};

/* Writes the gid of a part, zero-terminated. */
void format_gid(const TransactionPart& part, std::span<char, GID_SIZE> out);

/* True, with *part set, exactly for texts that format_gid() writes. */
bool parse_gid(const char *gid, TransactionPart *part);

/* What this server knows about a part that a node holds prepared. */
struct Evidence
{
	bool ours;		/* started by this server's group, in this database */
	bool in_flight; /* its transaction was running after the node had been asked */
	bool recorded;	/* a commit record was visible after that */
};

enum class Outcome
{
	Leave,
	Commit,
	RollBack
};

/*
 * The decision of recovery. The order in which the evidence is collected matters: first the node's
 * prepared parts, then the running transactions, then the records with a snapshot taken last; so a
 * transaction that is not running any more has its record visible if and only if it has committed.
 */
Outcome decide(const Evidence& evidence);

} // namespace civitas::commit
