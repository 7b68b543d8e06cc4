/*
 * participants.cpp: which session serves a node in this transaction, and what must be sent before a
 * statement.
 *
 * A session becomes a participant when a statement is about to run on it inside a remote BEGIN. The
 * BEGIN, and a SAVEPOINT for each open subtransaction, go out with that statement, not before (so
 * that a savepoint that touches no node costs nothing).
 */
#include "civitas/pg/server.h"

#include "recorded_commands.h"
#include "transaction_state.h"

#include "civitas/catalog/cluster_secret.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "port/pg_bswap.h"
#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::txn {

void (*first_use_hook)();
void (*session_wanted_hook)(remote::Session *);
const char *(*untold_nodes_hook)();

namespace {

/* The session that a shard group of a node stays with. */
struct AffinityKey
{
	GroupId group;
	ColocationId colocation;
	int64 key;
};
struct AffinityEntry
{
	AffinityKey key;
	remote::Session *session;
};
struct Pin
{
	GroupId group;
	remote::Session *session;
};
CIVITAS_SERVER_STATE(AffinityEntry);

/* Both in TopTransactionContext. */
HTAB *affinities;
pg::Vec<Pin> *pins;

AffinityKey make_key(GroupId group, ColocationId colocation, int64 key)
{
	AffinityKey made;
	memset(&made, 0, sizeof(made));
	made.group = group;
	made.colocation = colocation;
	made.key = key;
	return made;
}

/* A session may have been closed by whoever found it broken. */
bool is_open(remote::Session *session)
{
	struct Search
	{
		remote::Session *wanted;
		bool found;
	} search = {session, false};
	remote::for_each_session(
		[](remote::Session *visited, void *argument) {
			Search *looking = static_cast<Search *>(argument);
			if (visited == looking->wanted)
				looking->found = true;
		},
		&search);
	return search.found && !remote::failed(session);
}

const char *current_role_name();

[[noreturn]] void raise_session_lost(const char *host, int port)
{
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("the transaction's session on node %s:%d is lost", host, port),
					errhint("Roll the transaction back and try again.")));
}

} // namespace

remote::Session *pinned_session(GroupId group)
{
	if (pins == nullptr)
		return nullptr;
	for (const Pin& pin : *pins)
	{
		if (pin.group != group)
			continue;
		if (!is_open(pin.session))
		{
			const catalog::Node *node = catalog::find_primary(group);
			/* Another session would have another snapshot. */
			if (XactIsoLevel != XACT_READ_COMMITTED && node != nullptr)
				raise_session_lost(node->name, node->port);
			continue;
		}
		if (serves_current_role(pin.session))
			return pin.session;
	}
	return nullptr;
}

namespace {

/* The session of this transaction on that group: one that wrote before one that only read; not one
 * in use. */
remote::Session *participating_session(GroupId group)
{
	if (!current.used)
		return nullptr;
	remote::Session *found = nullptr;
	for_each_participant([&](Participant *participant) {
		if (participant->begun && participant->group == group &&
			serves_current_role(participant->session) && !participant->broken &&
			!remote::failed(participant->session) && !remote::claimed(participant->session) &&
			!remote::busy(participant->session) && (found == nullptr || participant->wrote))
			found = participant->session;
	});
	return found;
}

const char *isolation_name()
{
	switch (XactIsoLevel)
	{
	case XACT_SERIALIZABLE:
		return "SERIALIZABLE";
	case XACT_REPEATABLE_READ:
		return "REPEATABLE READ";
	default:
		return "READ COMMITTED";
	}
}

void append_begin(pg::Str *sql, const remote::Session *session)
{
	sql->raw("BEGIN TRANSACTION ISOLATION LEVEL ").raw(isolation_name());
	sql->raw(only_reads(session) ? " READ ONLY" : " READ WRITE");
	if (XactDeferrable)
		sql->raw(" DEFERRABLE");
}

/* The sessions of a backend are called after the one that it works for; where that is another one
 * they must be told who began the transaction. */
bool began_by_another(const DistributedId& id)
{
	return id.gpid != global_pid();
}

/* Tells a node which distributed transaction its part belongs to. */
char *assign_id_statement()
{
	const DistributedId& id = ensure_distributed_id();
	const char *stamp = timestamptz_to_str(id.stamp);
	if (began_by_another(id))
		return psprintf("SELECT citus_internal.join_transaction(%d," UINT64_FORMAT
						",'%s'," INT64_FORMAT ")",
						id.initiator, id.number, stamp, id.gpid);
	return psprintf("SELECT pg_catalog.assign_distributed_transaction_id(%d," UINT64_FORMAT
					",'%s')",
					id.initiator, id.number, stamp);
}

void push_savepoint(Participant *participant, SubTransactionId id)
{
	if (participant->savepoint_count == participant->savepoint_capacity)
	{
		const int capacity =
			participant->savepoint_capacity == 0 ? 8 : participant->savepoint_capacity * 2;
		SubTransactionId *grown = static_cast<SubTransactionId *>(MemoryContextAlloc(
			remote::session_context(participant->session), sizeof(SubTransactionId) * capacity));
		if (participant->savepoint_count > 0)
		{
			memcpy(grown, participant->savepoints,
				   sizeof(SubTransactionId) * participant->savepoint_count);
			pfree(participant->savepoints);
		}
		participant->savepoints = grown;
		participant->savepoint_capacity = capacity;
	}
	participant->savepoints[participant->savepoint_count++] = id;
	participant->released = participant->savepoint_count;
}

} // namespace

/* What precedes a statement. */
enum class Part
{
	Release,
	Begin,
	Id, /* which distributed transaction it is */
	Savepoint,
	Role,	/* in whose name */
	Setting /* SET LOCAL */
};

/* Roles take turns in a transaction (SECURITY DEFINER, SET ROLE, owners of views): a session that has
 * seen the one's changes serves the others as well. */
template <typename Emit> static void tell_role(Participant *participant, Emit&& emit)
{
	const char *role = current_role_name();
	if (participant->role == role)
		return;
	emit(Part::Role, remote::role_statement(participant->session, role));
	participant->role = role;
}

template <typename Emit> static void tell_settings(Participant *participant, Emit&& emit)
{
	if (!has_untold_settings(participant))
		return;
	ListCell *cell;
	foreach (cell, untold_settings(participant))
		emit(Part::Setting, static_cast<const char *>(lfirst(cell)));
}

/*
 * Calls emit(part, sql) for what must precede a statement: RELEASE of what was released here,
 * BEGIN, the id (sql is null), SAVEPOINTs, SET LOCALs. Marks them as done.
 */
template <typename Emit> static void emit_preamble(Participant *participant, Emit&& emit)
{
	check_group_left();
	if (participant->broken)
		raise_session_lost(remote::host(participant->session), remote::port(participant->session));
	if (participant->released < participant->savepoint_count)
	{
		emit(Part::Release, psprintf("RELEASE SAVEPOINT citus_s%u",
									 participant->savepoints[participant->released]));
		participant->savepoint_count = participant->released;
	}
	const std::span<const SubTransactionId> subtransactions = open_subtransactions();
	const int open = static_cast<int>(subtransactions.size());
	if (participant->begun && participant->savepoint_count == open)
	{
		tell_role(participant, emit);
		tell_settings(participant, emit);
		return;
	}

	if (!participant->begun)
	{
		pg::Str begin;
		append_begin(&begin, participant->session);
		emit(Part::Begin, begin.c_str());
		emit(Part::Id, nullptr);
		participant->savepoint_count = 0;
		participant->released = 0;
		participant->begun = true;
		participant->step = Step::Open;
		/* Whoever found or opened the session looked for one of the current role. */
		const char *role = current_role_name();
		participant->role =
			strcmp(PQuser(remote::connection(participant->session)), role) == 0 ? role : nullptr;
		current.used = true;
		/* In the other levels the session's snapshot is the transaction's on that node. */
		if (XactIsoLevel != XACT_READ_COMMITTED)
			pin_node(participant->group, participant->session);
		if (first_use_hook != nullptr)
			first_use_hook();
	}
	for (int i = participant->savepoint_count; i < open; i++)
	{
		const SubTransactionId id = subtransactions[i];
		emit(Part::Savepoint, psprintf("SAVEPOINT citus_s%u", id));
		push_savepoint(participant, id);
	}
	tell_role(participant, emit);
	tell_settings(participant, emit);
}

char *transaction_preamble(Participant *participant)
{
	pg::Str sql;
	emit_preamble(participant, [&](Part part, const char *text) {
		sql.raw(part == Part::Id ? assign_id_statement() : text).raw(";");
	});
	return sql.empty() ? nullptr : sql.c_str();
}

namespace {

/* The same as assign_id_statement(), as a statement that the node has prepared. */
void queue_id(remote::Session *session)
{
	const DistributedId& id = ensure_distributed_id();
	const uint32 initiator = pg_hton32(static_cast<uint32>(id.initiator));
	const uint64 number = pg_hton64(id.number);
	const uint64 stamp = pg_hton64(static_cast<uint64>(id.stamp));
	const uint64 gpid = pg_hton64(static_cast<uint64>(id.gpid));
	const Oid types[] = {INT4OID, INT8OID, TIMESTAMPTZOID, INT8OID};
	const char *values[] = {
		reinterpret_cast<const char *>(&initiator), reinterpret_cast<const char *>(&number),
		reinterpret_cast<const char *>(&stamp), reinterpret_cast<const char *>(&gpid)};
	const int lengths[] = {sizeof(initiator), sizeof(number), sizeof(stamp), sizeof(gpid)};
	const int formats[] = {1, 1, 1, 1};
	if (began_by_another(id))
		remote::queue_hidden_prepared(session,
									  "SELECT citus_internal.join_transaction($1, $2, $3, $4)",
									  {4, types, values, lengths, formats});
	else
		remote::queue_hidden_prepared(
			session, "SELECT pg_catalog.assign_distributed_transaction_id($1, $2, $3)",
			{3, types, values, lengths, formats});
}

} // namespace

/* The names of the current role and database, kept until a role changes: every statement asks. */
struct SessionNames
{
	Oid role; /* InvalidOid: not known */
	const char *role_name;
	const char *database;
	List *role_names; /* every one that was used: endpoints point to them */
};
namespace {

SessionNames session_names;

void forget_role(Datum, int, uint32)
{
	session_names.role = InvalidOid;
}

const SessionNames& current_names();

const char *current_role_name()
{
	return current_names().role_name;
}

const SessionNames& current_names()
{
	const Oid role = GetUserId();
	if (session_names.role == role)
		return session_names;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	if (session_names.database == nullptr)
	{
		CacheRegisterSyscacheCallback(AUTHOID, forget_role, 0);
		/* A database that has sessions keeps its name. */
		session_names.database = get_database_name(MyDatabaseId);
	}
	session_names.role = InvalidOid;
	char *name = GetUserNameFromId(role, false);
	session_names.role_name = nullptr;
	ListCell *cell;
	foreach (cell, session_names.role_names)
		if (strcmp(static_cast<const char *>(lfirst(cell)), name) == 0)
			session_names.role_name = static_cast<const char *>(lfirst(cell));
	if (session_names.role_name == nullptr)
	{
		session_names.role_names = lappend(session_names.role_names, name);
		session_names.role_name = name;
	}
	else
		pfree(name);
	session_names.role = role;
	MemoryContextSwitchTo(old);
	return session_names;
}

} // namespace

remote::Endpoint address_of(const catalog::Node& node, Pauses pauses)
{
	/* A change of the node's address makes us wait here, and then counts. */
	if (node.node_id != 0 && pauses == Pauses::Heeded)
		use_group(node.group_id);
	const catalog::Node *now = node.node_id != 0 ? catalog::find_node(node.node_id) : nullptr;
	const catalog::Node& target = now != nullptr ? *now : node;
	remote::Endpoint endpoint;
	endpoint.node_id = target.node_id;
	endpoint.host = target.name;
	endpoint.port = target.port;
	const SessionNames& names = current_names();
	endpoint.user = names.role_name;
	endpoint.database = names.database;
	endpoint.authinfo = nullptr;
	return endpoint;
}

remote::Endpoint endpoint_of(const catalog::Node& node, Pauses pauses)
{
	remote::Endpoint endpoint = address_of(node, pauses);
	endpoint.authinfo = catalog::authinfo(endpoint.node_id, endpoint.user);
	endpoint.secret = catalog::cluster_secret();
	return endpoint;
}

bool is_this_server(const remote::Endpoint& endpoint)
{
	const catalog::Node *node =
		endpoint.node_id != 0 ? catalog::find_node(endpoint.node_id) : nullptr;
	return node != nullptr && node->group_id == catalog::local_group_id();
}

namespace {

/* Sessions to a node that statements of ours still read from put the rest of their rows aside. */
void free_sessions_to(const remote::Endpoint& endpoint)
{
	struct Search
	{
		const remote::Endpoint *endpoint;
		pg::Vec<remote::Session *> found;
	} search = {&endpoint, {}};
	remote::for_each_session(
		[](remote::Session *session, void *argument) {
			Search *looking = static_cast<Search *>(argument);
			if (remote::claimed(session) && !remote::failed(session) &&
				remote::connected_at(session) != 0 &&
				remote::port(session) == looking->endpoint->port &&
				strcmp(remote::host(session), looking->endpoint->host) == 0)
				looking->found.push(session);
		},
		&search);
	for (remote::Session *session : search.found)
		if (session_wanted_hook != nullptr && is_open(session) && remote::claimed(session))
			session_wanted_hook(session);
}

} // namespace

remote::Session *open_session(const catalog::Node& node)
{
	refuse_while_recording();
	const remote::Endpoint endpoint = endpoint_of(node);
	remote::Session *session = remote::try_start_connect(endpoint, true);
	if (session != nullptr)
		return session;
	free_sessions_to(endpoint);
	session = participating_session(node.group_id);
	if (session == nullptr)
		session = remote::find_idle(endpoint);
	return session != nullptr ? session : remote::start_connect(endpoint);
}

namespace {

/* Like session_for(), but a new connection may still be in progress. */
remote::Session *start_session_for(const catalog::Node& node)
{
	refuse_while_recording();
	if (node.group_id == catalog::local_group_id())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a server does not open sessions to itself"),
						errdetail("Node %s:%d is this server.", node.name, node.port)));
	remote::Session *session = pinned_session(node.group_id);
	if (session == nullptr)
		session = participating_session(node.group_id);
	if (session != nullptr)
	{
		if (remote::claimed(session) && session_wanted_hook != nullptr)
			session_wanted_hook(session);
		return session;
	}
	session = remote::find_idle(address_of(node));
	return session != nullptr ? session : open_session(node);
}

} // namespace

remote::Session *session_for(const catalog::Node& node)
{
	remote::Session *session = start_session_for(node);
	remote::finish_connect(session);
	return session;
}

bool queue_preamble(remote::Session *session, bool in_transaction)
{
	bool savepoint = false;
	Participant *participant = participant_of(session);
	char *settings = settings_command(participant);
	if (settings != nullptr)
	{
		remote::queue_hidden(session, settings);
		participant->settings_in_doubt = true;
		/* A part of its own before BEGIN: what follows may fail without it. */
		if (in_transaction && !participant->begun)
			remote::queue_hidden_sync(session);
	}
	if (in_transaction)
	{
		emit_preamble(participant, [&](Part part, const char *text) {
			savepoint = savepoint || part == Part::Savepoint;
			if (part == Part::Id)
				queue_id(session);
			else if (part == Part::Begin)
				remote::queue_hidden_prepared(session, text);
			else
				remote::queue_hidden(session, text);
		});
	}
	/* All of it is hidden: a failure shows up as the statement's own. */
	return savepoint;
}

void forget_settings(remote::Session *session)
{
	Participant *participant = existing_participant(session);
	if (participant != nullptr && participant->settings_in_doubt)
		participant->settings_known = false;
}

void begin_remote(remote::Session *session)
{
	Participant *participant = participant_of(session);
	char *settings = settings_command(participant);
	if (settings != nullptr)
	{
		participant->settings_in_doubt = true;
		remote::execute_single(session, settings);
	}
	char *preamble = transaction_preamble(participant);
	if (preamble != nullptr)
		remote::execute(session, preamble);
}

void note_constraints(const ConstraintsSetStmt *statement)
{
	if (!IsTransactionBlock())
		return;
	keep_constraints(statement);
	if (statement->deferred || !current.used)
		return;
	for_each_participant([](Participant *participant) {
		if (!participant->begun || participant->broken)
			return;
		if (remote::claimed(participant->session) && session_wanted_hook != nullptr)
			session_wanted_hook(participant->session);
		begin_remote(participant->session);
	});
}

void each_writer(void (*visit)(remote::Session *, void *), void *argument)
{
	if (!current.used)
		return;
	pg::Vec<remote::Session *> writers;
	for_each_participant([&](Participant *participant) {
		if (participant->begun && participant->wrote && !participant->broken)
			writers.push(participant->session);
	});
	for (remote::Session *session : writers)
	{
		if (remote::claimed(session) && session_wanted_hook != nullptr)
			session_wanted_hook(session);
		begin_remote(session);
		visit(session, argument);
	}
}

void note_write(remote::Session *session)
{
	Participant *participant = participant_of(session);
	if (!participant->wrote)
	{
		check_may_write();
		participant->wrote = true;
		current.writers++;
	}
}

void set_beside(remote::Session *session, bool beside)
{
	participant_of(session)->beside = beside;
}

bool has_written(const remote::Session *session)
{
	const Participant *participant =
		static_cast<const Participant *>(remote::transaction_state(session));
	return participant != nullptr && participant->wrote;
}

bool serves_current_role(remote::Session *session)
{
	const Participant *participant = existing_participant(session);
	return (participant != nullptr && participant->begun && remote::proves_itself(session)) ||
		   strcmp(PQuser(remote::connection(session)), current_role_name()) == 0;
}

char *ending_role_statement(Participant *participant)
{
	const char *role = current_role_name();
	return participant->role == role ? nullptr : remote::role_statement(participant->session, role);
}

bool has_written()
{
	return current.writers > 0 || current.local_write;
}

void note_local_write()
{
	current.local_write = true;
}

remote::Session *affinity(GroupId group, ColocationId colocation, int64 key)
{
	remote::Session *pinned = pinned_session(group);
	remote::Session *own = own_affinity(group, colocation, key);
	/* Only the session that wrote rows sees them, and does not wait for them. */
	return pinned == nullptr || (own != nullptr && has_written(own)) ? own : pinned;
}

remote::Session *own_affinity(GroupId group, ColocationId colocation, int64 key)
{
	if (affinities == nullptr)
		return nullptr;
	const AffinityKey wanted = make_key(group, colocation, key);
	AffinityEntry *entry =
		static_cast<AffinityEntry *>(hash_search(affinities, &wanted, HASH_FIND, nullptr));
	return entry != nullptr && is_open(entry->session) ? entry->session : nullptr;
}

void set_affinity(GroupId group, ColocationId colocation, int64 key, remote::Session *session)
{
	if (affinities == nullptr)
	{
		HASHCTL control;
		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(AffinityKey);
		control.entrysize = sizeof(AffinityEntry);
		control.hcxt = TopTransactionContext;
		affinities = hash_create("civitas placement affinity", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	const AffinityKey wanted = make_key(group, colocation, key);
	static_cast<AffinityEntry *>(hash_search(affinities, &wanted, HASH_ENTER, nullptr))->session =
		session;
}

void pin_node(GroupId group, remote::Session *session)
{
	if (pinned_session(group) != nullptr)
		return;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	if (pins == nullptr)
	{
		pins = static_cast<pg::Vec<Pin> *>(palloc(sizeof(pg::Vec<Pin>)));
		*pins = pg::Vec<Pin>(TopTransactionContext);
	}
	pins->push({group, session});
	MemoryContextSwitchTo(old);
}

void reset_affinity()
{
	affinities = nullptr;
	pins = nullptr;
}

/* --- commands --- */

namespace {

/* Open cursors put the rest of their rows aside, which may begin work on further sessions. */
void free_claimed_sessions()
{
	if (session_wanted_hook == nullptr)
		return;
	pg::Vec<remote::Session *> claimed;
	for_each_participant([&](Participant *participant) {
		if (participant->begun && remote::claimed(participant->session))
			claimed.push(participant->session);
	});
	for (remote::Session *session : claimed)
		if (is_open(session) && remote::claimed(session))
			session_wanted_hook(session);
}

/*
 * Reads may have used several sessions on a node; what they locked there would make DDL through
 * `keep` wait for ourselves. The other sessions have written nothing, so their part of the
 * transaction can end now.
 */
void end_other_readers(GroupId group, const remote::Session *keep)
{
	/* In the other levels the snapshot of a session must last as long as the transaction. */
	if (XactIsoLevel != XACT_READ_COMMITTED)
		return;
	pg::Vec<Participant *> readers;
	for_each_participant([&](Participant *participant) {
		if (participant->begun && participant->group == group && participant->session != keep &&
			!participant->wrote && !participant->broken && !remote::failed(participant->session))
			readers.push(participant);
	});
	for (Participant *reader : readers)
	{
		remote::execute(reader->session, "COMMIT");
		end_participant(reader);
	}
}

} // namespace

bool end_readers()
{
	free_claimed_sessions();
	pg::Vec<Participant *> readers;
	bool wrote = current.local_write && !is_internal_session();
	for_each_participant([&](Participant *participant) {
		if (!participant->begun)
			return;
		wrote = wrote || participant->wrote || participant->broken ||
				remote::failed(participant->session) || remote::claimed(participant->session);
		readers.push(participant);
	});
	if (wrote)
		return false;
	for (Participant *reader : readers)
	{
		remote::execute(reader->session, "COMMIT");
		end_participant(reader);
	}
	return true;
}

/* Sends every command after what must precede it, then waits for all of them. The sessions are
 * claimed meanwhile. */
void run_on_nodes(std::span<const NodeCommand> commands)
{
	if (record(commands))
		return;
	if (current.used)
		free_claimed_sessions();
	pg::Vec<remote::Session *> sessions;
	for (const NodeCommand& command : commands)
		sessions.push(start_session_for(*command.node));
	remote::finish_connects({sessions.data(), static_cast<size_t>(sessions.size())});
	for (int i = 0; current.used && i < sessions.size(); i++)
		end_other_readers(commands[i].node->group_id, sessions[i]);

	bool waiting = false;
	for (int i = 0; i < sessions.size(); i++)
	{
		Participant *participant = participant_of(sessions[i]);
		char *settings = settings_command(participant);
		if (settings == nullptr)
			continue;
		participant->settings_in_doubt = true;
		remote::send_single(sessions[i], settings);
		waiting = true;
	}
	for (int i = 0; waiting && i < sessions.size(); i++)
		remote::drain(sessions[i]);

	const char *nodes = untold_nodes_hook != nullptr ? untold_nodes_hook() : nullptr;
	for (int i = 0; i < sessions.size(); i++)
	{
		note_write(sessions[i]);
		char *preamble = transaction_preamble(participant_of(sessions[i]));
		if (preamble == nullptr && nodes == nullptr)
		{
			remote::send_simple(sessions[i], commands[i].sql);
			continue;
		}
		pg::Str sql;
		if (preamble != nullptr)
			sql.raw(preamble);
		if (nodes != nullptr)
			sql.raw(nodes).raw(";");
		sql.raw(commands[i].sql);
		remote::send_simple(sessions[i], sql.c_str());
	}
	for (int i = 0; i < sessions.size(); i++)
	{
		remote::drain(sessions[i]);
		pin_node(commands[i].node->group_id, sessions[i]);
	}
}

void run_on_other_nodes(const char *sql)
{
	pg::Vec<NodeCommand> commands;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		commands.push({&node, sql});
	run_on_nodes(commands.span());
}

void run_on_node(const catalog::Node& node, const char *sql)
{
	const NodeCommand command = {&node, sql};
	run_on_nodes({&command, 1});
}

void run_outside_transaction(const catalog::Node& node, const char *sql)
{
	if (node.group_id == catalog::local_group_id())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a server does not open sessions to itself")));
	const remote::Endpoint endpoint = endpoint_of(node);
	remote::Session *session = remote::find_idle(endpoint);
	if (session == nullptr)
		session = remote::connect(endpoint);
	remote::set_claimed(session, true);
	Participant *participant = participant_of(session);
	char *settings = settings_command(participant);
	participant->settings_in_doubt |= settings != nullptr;
	if (settings != nullptr)
		remote::execute_single(session, settings);
	remote::execute(session, sql);
	remote::set_claimed(session, false);
}

void require_one_session_per_node()
{
	if (!current.used)
		return;
	free_claimed_sessions();
	pg::Vec<GroupId> groups;
	for_each_participant([&](const Participant *participant) {
		if (participant->begun)
			groups.push(participant->group);
	});
	for (const GroupId group : groups)
	{
		const remote::Session *pinned = pinned_session(group);
		end_other_readers(group, pinned != nullptr ? pinned : participating_session(group));
	}

	const Participant *seen = nullptr;
	for_each_participant([&](const Participant *participant) {
		if (!participant->begun)
			return;
		if (!serves_current_role(participant->session))
			seen = participant;
		for_each_participant([&](const Participant *other) {
			if (other != participant && other->begun && other->group == participant->group)
				seen = participant;
		});
	});
	if (seen != nullptr)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change tables after a query that used several connections to a node"),
			 errdetail("The locks of the earlier query would stand in the way of the change."),
			 errhint("Change them in a transaction of their own.")));
}

} // namespace civitas::txn
