/*
 * replication_checks.cpp: logical replication by the user beside tables of the metadata.
 *
 * Decoding and applying know stored tables only. A publication that holds a table of the metadata sends
 * nothing, for its rows are in shards, which have other names; a subscription writes into the shell, where
 * nobody looks. Neither says a word, so both are refused, whichever came first: the table that is distributed
 * or the publication or subscription that is made or changed. Publications of single shards, which moves use,
 * are another matter.
 */
#include "replication_checks.h"

#include "civitas/catalog/tables.h"
#include "civitas/ddl/own_publications.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/defrem.h"
#include "commands/subscriptioncmds.h"
#include "miscadmin.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

[[noreturn]] void refuse_published(const char *table, Oid publication, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot distribute table \"%s\", because publication \"%s\" holds it", table,
					GetPublication(publication)->name),
			 errdetail("The changes of a distributed table are those of its shards, which the "
					   "publication would not send."),
			 errhint("%s", hint)));
}

/* The first that is none of our own; InvalidOid: none. */
Oid first_of_users(List *publications)
{
	ListCell *cell;
	foreach (cell, publications)
		if (strncmp(GetPublication(lfirst_oid(cell))->name, OWN_PUBLICATION_PREFIX,
					strlen(OWN_PUBLICATION_PREFIX)) != 0)
			return lfirst_oid(cell);
	return InvalidOid;
}

/* A subscription that writes to the relation; InvalidOid: none. */
Oid subscription_to(Oid relid)
{
	Oid found = InvalidOid;
	CatCList *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(relid));
	for (int i = 0; i < list->n_members; i++)
		found = reinterpret_cast<Form_pg_subscription_rel>(GETSTRUCT(&list->members[i]->tuple))
					->srsubid;
	ReleaseSysCacheList(list);
	return found;
}

/* A table of the metadata that the publication holds, by name, by schema or as one of all. */
Oid published_table(Oid publication)
{
	const bool all = GetPublication(publication)->alltables;
	List *schemas = all ? NIL : GetPublicationSchemas(publication);
	List *relations = all ? NIL : GetPublicationRelations(publication, PUBLICATION_PART_ALL);
	ListCell *cell;
	foreach (cell, catalog::all_table_oids())
	{
		const Oid relid = lfirst_oid(cell);
		if (all || list_member_oid(schemas, get_rel_namespace(relid)) ||
			list_member_oid(relations, relid))
			return relid;
	}
	return InvalidOid;
}

[[noreturn]] void refuse_publication(const char *name, Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("publication \"%s\" cannot hold distributed table \"%s\"", name,
					get_rel_name(relid)),
			 errdetail("The changes of a distributed table are those of its shards, which the "
					   "publication would not send."),
			 errhint("Name the plain tables to publish; the changes of shards can be published by "
					 "the shards' names, on each node that has some.")));
}

/* CREATE SUBSCRIPTION makes a slot at the publisher, which no rollback takes away. */
bool makes_slot(const CreateSubscriptionStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);
		if ((strcmp(option->defname, "create_slot") == 0 ||
			 strcmp(option->defname, "connect") == 0) &&
			!defGetBoolean(option))
			return false;
	}
	return true;
}

void drop_subscription(const char *name)
{
	DropSubscriptionStmt *drop = makeNode(DropSubscriptionStmt);
	drop->subname = pstrdup(name);
	drop->behavior = DROP_RESTRICT;
	DropSubscription(drop, true);
}

void check_subscription(const char *name, bool with_new_slot)
{
	const Oid subscription = get_subscription_oid(name, true);
	if (!OidIsValid(subscription))
		return;
	List *relations = pg::subscribed_relations(subscription);
	ListCell *cell;
	foreach (cell, relations)
	{
		const Oid relid = lfirst_oid(cell);
		if (catalog::find_table(relid) == nullptr)
			continue;
		if (with_new_slot)
			drop_subscription(name);
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("subscription \"%s\" cannot write to distributed table \"%s\"", name,
					get_rel_name(relid)),
			 errdetail("Its rows would go into a table that no query reads, not to the shards."),
			 errhint("Subscribe with a plain table and copy its rows, or leave the table out of "
					 "the publication.")));
	}
}

} // namespace

void check_not_replicated(Oid relid)
{
	const char *name = get_rel_name(relid);
	const Oid subscription = subscription_to(relid);
	if (OidIsValid(subscription))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot distribute table \"%s\", because subscription \"%s\" writes to it",
					name, get_subscription_name(subscription, false)),
			 errdetail("Its rows would go into a table that no query reads, not to the shards."),
			 errhint("Drop the subscription first, or take the table out of the publication and "
					 "use ALTER SUBSCRIPTION .. REFRESH PUBLICATION.")));
	Oid publication = first_of_users(GetRelationPublications(relid));
	if (OidIsValid(publication))
		refuse_published(name, publication, "Use ALTER PUBLICATION .. DROP TABLE first.");
	publication = first_of_users(GetSchemaPublications(get_rel_namespace(relid)));
	if (OidIsValid(publication))
		refuse_published(name, publication,
						 "Use ALTER PUBLICATION .. DROP TABLES IN SCHEMA first.");
	publication = first_of_users(GetAllTablesPublications());
	if (OidIsValid(publication))
		refuse_published(name, publication,
						 "Drop the publication and make one of the plain tables, by their names.");
}

void check_not_published_schema(Node *statement, List *tables)
{
	const Oid schema =
		get_namespace_oid(castNode(AlterObjectSchemaStmt, statement)->newschema, true);
	List *publications = OidIsValid(schema) ? GetSchemaPublications(schema) : NIL;
	if (publications != NIL)
		refuse_publication(GetPublication(linitial_oid(publications))->name, linitial_oid(tables));
}

bool is_replication_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_CreatePublicationStmt:
	case T_AlterPublicationStmt:
	case T_CreateSubscriptionStmt:
	case T_AlterSubscriptionStmt:
		return true;
	default:
		return false;
	}
}

void check_after_replication_statement(Node *statement)
{
	CommandCounterIncrement();
	const char *publication = nullptr;
	switch (nodeTag(statement))
	{
	case T_CreatePublicationStmt:
		publication = castNode(CreatePublicationStmt, statement)->pubname;
		break;
	case T_AlterPublicationStmt:
		if (castNode(AlterPublicationStmt, statement)->action != AP_DropObjects)
			publication = castNode(AlterPublicationStmt, statement)->pubname;
		break;
	case T_CreateSubscriptionStmt: {
		const auto *create = castNode(CreateSubscriptionStmt, statement);
		check_subscription(create->subname, makes_slot(create));
		break;
	}
	case T_AlterSubscriptionStmt:
		check_subscription(castNode(AlterSubscriptionStmt, statement)->subname, false);
		break;
	default:
		break;
	}
	const Oid oid = publication != nullptr ? get_publication_oid(publication, true) : InvalidOid;
	const Oid relid = OidIsValid(oid) ? published_table(oid) : InvalidOid;
	if (OidIsValid(relid))
		refuse_publication(publication, relid);
}

} // namespace civitas::ddl
