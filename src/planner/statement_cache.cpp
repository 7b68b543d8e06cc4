/*
 * statement_cache.cpp: plans of statements that come again with other constants.
 *
 * For clients that do not prepare. A SELECT, UPDATE or DELETE over one distributed table that is
 * held to one shard by a constant is described by a string of bytes, its shape, in which the
 * constants that the fast path sends as parameters (extract_constants) are holes. A shape that
 * comes for the second time is planned the long way and kept; from then on the planner's work is to
 * write the shape, find it, and put the new constants in their places.
 *
 * Everything that the plan depends on is in the shape, but for names and metadata: an entry is good
 * while catalog::names_generation() stands. Only built-in functions, operators and types are
 * described, only a few kinds of nodes; whatever else there is has no shape and is planned as
 * before. Plans that are given out point into the entry, so what is dropped is only retired.
 */
#include "internal.h"

#include "civitas/catalog/retired.h"
#include "civitas/deparse/query_template.h"
#include "civitas/executor/scan.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::planner {

namespace {

constexpr int MAX_ENTRIES = 256;
constexpr int SEEN_SHAPES = 1024;
constexpr int MAX_HOLES = 32;

/* What a statement looks like without its constants. */
struct Shape
{
	StringInfoData bytes;
	Const *holes[MAX_HOLES]; /* in the order in which they are written */
	int hole_count;
	int keys;		  /* how often the distribution column is named in WHERE */
	int pinning_hole; /* the constant that it equals; -1: none */
	Oid relid;
	AttrNumber distribution_attno;
	bool complete; /* nothing was met that cannot be described */
};

struct Entry
{
	uint64 key; /* hash of the shape; must be first */
	MemoryContext context;
	char *shape;
	int length;
	uint64 generation;
	PlannedStmt *statement;
	int *hole_of_parameter; /* which constant is $1, $2, ... */
	int pinning_hole;
};
CIVITAS_SERVER_STATE(Entry);

HTAB *entries;
uint32 seen[SEEN_SHAPES];

/* --- the shape ------------------------------------------------------------------------------- */

template <typename T> void put(Shape *shape, T value)
{
	appendBinaryStringInfoNT(&shape->bytes, reinterpret_cast<const char *>(&value), sizeof(T));
}

void put_name(Shape *shape, const char *name)
{
	if (name == nullptr)
		put<char>(shape, '\0');
	else
		appendBinaryStringInfoNT(&shape->bytes, name, static_cast<int>(strlen(name)) + 1);
}

void put_object(Shape *shape, Oid object)
{
	shape->complete &= object < FirstNormalObjectId;
	put(shape, object);
}

void put_node(Shape *shape, Node *node, bool holes);

/* `holes`: the children's own constants may be holes, see constant_mutator(). */
void put_list(Shape *shape, const List *list, bool holes)
{
	put(shape, list_length(list));
	ListCell *cell;
	foreach (cell, list)
		put_node(shape, static_cast<Node *>(lfirst(cell)), holes);
}

void put_constant(Shape *shape, Const *constant, bool hole)
{
	put_object(shape, constant->consttype);
	put(shape, constant->consttypmod);
	put(shape, constant->constcollid);
	hole = hole && becomes_hole(constant) && shape->hole_count < MAX_HOLES;
	put<char>(shape, hole ? 'h' : constant->constisnull ? 'n' : 'v');
	if (hole)
	{
		shape->complete &= constant->location >= 0;
		shape->holes[shape->hole_count++] = constant;
	}
	else if (constant->constbyval)
		put(shape, constant->constvalue);
	else if (!constant->constisnull)
	{
		const Size size = datumGetSize(constant->constvalue, false, constant->constlen);
		put(shape, size);
		appendBinaryStringInfoNT(&shape->bytes, DatumGetPointer(constant->constvalue),
								 static_cast<int>(size));
	}
}

bool is_distribution_column(const Shape *shape, const Node *node)
{
	return IsA(node, Var) &&
		   reinterpret_cast<const Var *>(node)->varattno == shape->distribution_attno;
}

void put_operator(Shape *shape, OpExpr *expr, bool holes)
{
	put_object(shape, expr->opno);
	put_object(shape, expr->opresulttype);
	put(shape, expr->opretset);
	put(shape, expr->opcollid);
	put(shape, expr->inputcollid);
	put(shape, list_length(expr->args));
	ListCell *cell;
	foreach (cell, expr->args)
	{
		Node *argument = static_cast<Node *>(lfirst(cell));
		if (IsA(argument, Const))
		{
			put<char>(shape, 'c');
			put_constant(shape, castNode(Const, argument), holes);
		}
		else
			put_node(shape, argument, holes);
	}
}

void put_node(Shape *shape, Node *node, bool holes)
{
	if (node == nullptr)
	{
		put<int>(shape, -1);
		return;
	}
	check_stack_depth();
	put<int>(shape, nodeTag(node));
	switch (nodeTag(node))
	{
	case T_Var: {
		const Var *var = castNode(Var, node);
		/* System columns, whole rows and OLD and NEW are not what they seem. */
		shape->complete &= var->varattno > 0 && var->varlevelsup == 0 && !pg::is_old_or_new(var);
		shape->keys += is_distribution_column(shape, node);
		put(shape, var->varno);
		put(shape, var->varattno);
		put_object(shape, var->vartype);
		put(shape, var->vartypmod);
		put(shape, var->varcollid);
		break;
	}
	case T_Const:
		put_constant(shape, castNode(Const, node), false);
		break;
	case T_OpExpr:
		put_operator(shape, castNode(OpExpr, node), holes);
		break;
	case T_BoolExpr:
		put(shape, castNode(BoolExpr, node)->boolop);
		put_list(shape, castNode(BoolExpr, node)->args, holes);
		break;
	case T_RelabelType: {
		const RelabelType *relabel = castNode(RelabelType, node);
		put_object(shape, relabel->resulttype);
		put(shape, relabel->resulttypmod);
		put(shape, relabel->resultcollid);
		put(shape, relabel->relabelformat);
		put_node(shape, reinterpret_cast<Node *>(relabel->arg), false);
		break;
	}
	case T_FuncExpr: {
		const FuncExpr *call = castNode(FuncExpr, node);
		put_object(shape, call->funcid);
		put_object(shape, call->funcresulttype);
		put(shape, call->funcretset);
		put(shape, call->funcvariadic);
		put(shape, call->funcformat);
		put(shape, call->funccollid);
		put(shape, call->inputcollid);
		put_list(shape, call->args, false);
		break;
	}
	case T_NullTest:
		put(shape, castNode(NullTest, node)->nulltesttype);
		put(shape, castNode(NullTest, node)->argisrow);
		put_node(shape, reinterpret_cast<Node *>(castNode(NullTest, node)->arg), false);
		break;
	case T_TargetEntry: {
		const TargetEntry *entry = castNode(TargetEntry, node);
		put(shape, entry->resno);
		put_name(shape, entry->resname);
		put(shape, entry->ressortgroupref);
		put(shape, entry->resorigtbl);
		put(shape, entry->resorigcol);
		put(shape, entry->resjunk);
		put_node(shape, reinterpret_cast<Node *>(entry->expr), holes);
		break;
	}
	case T_RangeTblRef:
		put(shape, castNode(RangeTblRef, node)->rtindex);
		break;
	default:
		shape->complete = false;
	}
}

/* Nothing but a table, conditions and columns. */
bool is_plain(const Query *query)
{
	return !query->isReturn &&
		   (query->commandType == CMD_SELECT || query->commandType == CMD_UPDATE ||
			query->commandType == CMD_DELETE) &&
		   list_length(query->rtable) == 1 && query->jointree != nullptr && !query->hasAggs &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && !query->hasSubLinks &&
		   !query->hasRowSecurity && query->cteList == NIL && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->havingQual == nullptr &&
		   query->windowClause == NIL && query->distinctClause == NIL && query->sortClause == NIL &&
		   query->limitCount == nullptr && query->limitOffset == nullptr &&
		   query->rowMarks == NIL && query->setOperations == nullptr &&
		   query->withCheckOptions == NIL;
}

/* The position among the holes of the constant that the distribution column equals. */
int find_pinning_hole(const Shape *shape, Node *quals)
{
	List *conditions = IsA(quals, BoolExpr) && castNode(BoolExpr, quals)->boolop == AND_EXPR
						   ? castNode(BoolExpr, quals)->args
						   : list_make1(quals);
	ListCell *cell;
	foreach (cell, conditions)
	{
		if (!IsA(lfirst(cell), OpExpr) || list_length(lfirst_node(OpExpr, cell)->args) != 2)
			continue;
		const OpExpr *expr = lfirst_node(OpExpr, cell);
		Node *left = static_cast<Node *>(linitial(expr->args));
		Node *right = static_cast<Node *>(lsecond(expr->args));
		const bool forward = is_distribution_column(shape, left);
		if ((!forward && !is_distribution_column(shape, right)) ||
			!is_hash_equality(expr->opno, castNode(Var, forward ? left : right)->vartype,
							  expr->inputcollid))
			continue;
		for (int hole = 0; hole < shape->hole_count; hole++)
			if (reinterpret_cast<Node *>(shape->holes[hole]) == (forward ? right : left))
				return hole;
	}
	return -1;
}

/* False where the statement has no shape. */
bool describe(Query *query, Shape *shape)
{
	if (!is_plain(query))
		return false;
	const RangeTblEntry *rte = linitial_node(RangeTblEntry, query->rtable);
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_RELATION || rte->tablesample ||
		rte->securityQuals != NIL || rte->security_barrier || rte->eref == nullptr)
		return false;
	const catalog::Table *table = catalog::find_table(rte->relid);
	if (table == nullptr || table->kind != catalog::TableKind::Hash || table->damage != nullptr)
		return false;

	initStringInfo(&shape->bytes);
	shape->hole_count = 0;
	shape->keys = 0;
	shape->relid = rte->relid;
	shape->distribution_attno = table->distribution_attno;
	shape->complete = true;
	put(shape, query->commandType);
	put(shape, query->resultRelation);
	put(shape, rte->relid);
	put(shape, rte->inh);
	put(shape, rte->inFromCl);
	put_name(shape, rte->eref->aliasname);
	put(shape, rte->alias != nullptr);
	if (rte->alias != nullptr)
	{
		ListCell *cell;
		put_name(shape, rte->alias->aliasname);
		put(shape, list_length(rte->alias->colnames));
		foreach (cell, rte->alias->colnames)
			put_name(shape, strVal(lfirst(cell)));
	}
	put_list(shape, query->jointree->fromlist, false);
	put_list(shape, query->targetList, query->commandType == CMD_UPDATE);
	put_list(shape, query->returningList, false);
	if (!shape->complete || query->jointree->quals == nullptr)
		return false;
	shape->keys = 0;
	put_node(shape, query->jointree->quals, true);
	if (!shape->complete || shape->keys != 1)
		return false;
	shape->pinning_hole = find_pinning_hole(shape, query->jointree->quals);
	return shape->pinning_hole >= 0;
}

/* --- entries --------------------------------------------------------------------------------- */

void create_entries()
{
	HASHCTL control;
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(Entry);
	control.hcxt = CacheMemoryContext;
	entries = hash_create("civitas statement shapes", MAX_ENTRIES, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void drop(Entry *entry)
{
	catalog::retire(entry->context);
	uint64 key = entry->key;
	hash_search(entries, &key, HASH_REMOVE, nullptr);
}

void drop_all()
{
	HASH_SEQ_STATUS all;
	hash_seq_init(&all, entries);
	while (auto *entry = static_cast<Entry *>(hash_seq_search(&all)))
		drop(entry);
}

/* The key of the shard, as planning the statement anew would have it; null where it would not be
 * planned alike. */
Expr *shard_key(const Shape *shape, int pinning_hole)
{
	bool nothing;
	Const *value = shape->holes[pinning_hole];
	Expr *key =
		key_expression(catalog::get_table(shape->relid), reinterpret_cast<Expr *>(value), &nothing);
	return key != nullptr && IsA(key, Const) ? key : nullptr;
}

/* The kept statement around the constants of this one. */
PlannedStmt *instantiate(const Entry *entry, const Query *query, const Shape *shape)
{
	Expr *key = shard_key(shape, entry->pinning_hole);
	if (key == nullptr)
		return nullptr;
	PlannedStmt *statement = statement_again(entry->statement, query);
	const CustomScan *kept = castNode(CustomScan, entry->statement->planTree);
	CustomScan *scan = makeNode(CustomScan);
	*scan = *kept;
	plan::RemoteQuery *remote = plan::remote_query_of(kept);
	List *parameters = NIL;
	const int count = list_length(remote->parameter_types);
	for (int index = 0; index < count; index++)
		parameters = lappend(parameters, shape->holes[entry->hole_of_parameter[index]]);
	scan->custom_private = list_make2(remote, list_make3(parameters, list_make1(key), NIL));
	statement->planTree = &scan->scan.plan;
	return statement;
}

/* Whether the plan is that of any statement of the shape: every parameter a hole of its own, one
 * key. Fills hole_of_parameter. */
bool serves_shape(const PlannedStmt *statement, const Shape *shape, int *hole_of_parameter)
{
	if (!IsA(statement->planTree, CustomScan) || list_length(statement->rtable) != 2 ||
		statement->subplans != NIL)
		return false;
	const CustomScan *scan = castNode(CustomScan, statement->planTree);
	if (scan->methods != &executor::remote_scan_methods)
		return false;
	const plan::RemoteQuery *remote = plan::remote_query_of(scan);
	const List *parameters = plan::parameters_of(scan);
	const List *keys = plan::prune_keys_of(scan);
	if (remote->tier != plan::Tier::FastPath || remote->pruning != plan::Pruning::Keys ||
		list_length(keys) != 1 || plan::rows_of(scan) != NIL ||
		list_length(parameters) != shape->hole_count)
		return false;
	ListCell *cell;
	foreach (cell, parameters)
	{
		if (!IsA(lfirst(cell), Const))
			return false;
		const Const *value = lfirst_node(Const, cell);
		int hole = 0;
		while (hole < shape->hole_count && shape->holes[hole]->location != value->location)
			hole++;
		if (hole == shape->hole_count)
			return false;
		hole_of_parameter[foreach_current_index(cell)] = hole;
	}
	return equal(shard_key(shape, shape->pinning_hole), linitial(keys));
}

void keep(const Shape *shape, uint64 key, uint64 generation, const PlannedStmt *statement)
{
	int hole_of_parameter[MAX_HOLES];
	if (!serves_shape(statement, shape, hole_of_parameter))
		return;
	if (hash_get_num_entries(entries) >= MAX_ENTRIES)
		drop_all();
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "citus statement", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	auto *copy = static_cast<PlannedStmt *>(copyObjectImpl(statement));
	char *bytes = static_cast<char *>(palloc(shape->bytes.len));
	memcpy(bytes, shape->bytes.data, shape->bytes.len);
	int *holes = static_cast<int *>(palloc(sizeof(hole_of_parameter)));
	memcpy(holes, hole_of_parameter, sizeof(hole_of_parameter));
	MemoryContextSwitchTo(old);
	bool found;
	auto *entry = static_cast<Entry *>(hash_search(entries, &key, HASH_ENTER, &found));
	if (found)
		catalog::retire(entry->context);
	*entry = {key, context, bytes, shape->bytes.len, generation, copy, holes, shape->pinning_hole};
	MemoryContextSetParent(context, CacheMemoryContext);
}

/* Whether the shape came before, not long ago. */
bool seen_before(uint64 key)
{
	uint32 *place = &seen[key % SEEN_SHAPES];
	const uint32 mark = static_cast<uint32>(key >> 32);
	const bool same = *place == mark;
	*place = mark;
	return same;
}

} // namespace

PlannedStmt *plan_with_cache(Query *query, int options, ParamListInfo params,
							 PlannedStmt *(*make)(Query *, const char *, int, ParamListInfo),
							 const char *text)
{
	Shape shape;
	if (params != nullptr || (options & CURSOR_OPT_SCROLL) != 0 || !describe(query, &shape))
		return make(query, text, options, params);
	const uint64 key = hash_bytes_extended(
		reinterpret_cast<const unsigned char *>(shape.bytes.data), shape.bytes.len, 0);
	if (entries == nullptr)
		create_entries();
	const uint64 generation = catalog::names_generation();
	auto *entry = static_cast<Entry *>(hash_search(entries, &key, HASH_FIND, nullptr));
	if (entry != nullptr && entry->generation != generation)
	{
		drop(entry);
		entry = nullptr;
	}
	if (entry != nullptr && entry->length == shape.bytes.len &&
		memcmp(entry->shape, shape.bytes.data, shape.bytes.len) == 0)
	{
		PlannedStmt *known = instantiate(entry, query, &shape);
		if (known != nullptr)
		{
			ereport(DEBUG2,
					(errmsg_internal("the plan of a statement of this shape is used again")));
			return known;
		}
	}
	PlannedStmt *statement = make(query, text, options, params);
	if (entry == nullptr && seen_before(key))
		keep(&shape, key, generation, statement);
	return statement;
}

} // namespace civitas::planner
