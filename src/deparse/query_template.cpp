/*
 * query_template.cpp: deparse once, splice per shard.
 *
 * pg_get_querydef() prints the query under search_path = pg_catalog, so that every name that is not
 * PostgreSQL's own is qualified. Before that, each sharded table in a FROM list gets an alias that
 * is unique in the statement: it is then printed as "schema.table alias" (INSERT: "schema.table AS
 * alias"), a sequence that occurs once. PostgreSQL's scanner walks over the text, so that no string
 * literal or quoted name is taken for it; each place found becomes a hole. That every table is
 * found exactly once is checked.
 *
 * The tableoid of a sharded table is the shell's, on every node, and so is its row type: the first
 * is replaced by that constant (a partitioned table's: by a look-up of the partition's name), whole
 * rows by ROW(...) of the type; NULL where an outer join made the row.
 */
#include "civitas/deparse/query_template.h"

#include "civitas/deparse/records.h"

#include "assignments.h"

#include "civitas/pg/columns.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/hash_index.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/attnum.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/keywords.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "parser/scanner.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"
CIVITAS_PG_END

#include "civitas/catalog/tables.h"

#include <cstring>

namespace civitas::deparse {

namespace {

/* The scanner's token codes that are fixed, see parser/scanner.h. */
constexpr int TOKEN_IDENT = 258;
constexpr int TOKEN_PARAM = 267;

/* A table that is printed under its own name and must become a hole. */
struct Place
{
	Oid relid;
	const char *name;  /* as it is printed, qualified and quoted */
	const char *alias; /* as it is printed behind the name: unique in the statement */
	bool found;
};

/* Where the name of a table stands in the text. */
struct Hit
{
	Oid relid;
	int start; /* byte offset */
	int end;
};

/* A name that is taken, and how many more were made of it. */
struct Name
{
	const char *text;
	int suffix;
};

struct Namer
{
	pg::Vec<Place> places;
	pg::HashIndex place_of_alias; /* as printed */
	pg::Vec<Name> names;
	pg::HashIndex name_of_text;
};

uint32 hash_text(const char *text, size_t length)
{
	return hash_bytes(reinterpret_cast<const unsigned char *>(text), static_cast<int>(length));
}

int find_name(const Namer& namer, const char *text)
{
	return namer.name_of_text.find(hash_text(text, strlen(text)), [&](int number) {
		return strcmp(namer.names[number].text, text) == 0;
	});
}

void take_name(Namer& namer, const char *text)
{
	namer.name_of_text.add(hash_text(text, strlen(text)), namer.names.size());
	namer.names.push({text, 0});
}

/* A name that is not taken yet: `base`, or it with a number. */
const char *unique_name(Namer& namer, const char *base)
{
	const int taken = find_name(namer, base);
	if (taken < 0)
		return base;
	const char *made;
	do
	{
		const int room = NAMEDATALEN - 12;
		made = psprintf("%.*s_%d", pg_mbcliplen(base, strlen(base), room), base,
						++namer.names[taken].suffix);
	} while (find_name(namer, made) >= 0);
	return made;
}

/* Names of the other range table entries: the new aliases must not be among them. */
bool collect_names(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		Namer& namer = *static_cast<Namer *>(context);
		ListCell *cell;
		foreach (cell, query->rtable)
		{
			const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
			if (!is_sharded_rte(rte) && rte->eref && rte->eref->aliasname &&
				find_name(namer, rte->eref->aliasname) < 0)
				take_name(namer, rte->eref->aliasname);
		}
		return pg::walk_query(query, collect_names, context);
	}
	return pg::walk_children(node, collect_names, context);
}

void name_table(Namer& namer, RangeTblEntry *rte)
{
	const char *alias =
		unique_name(namer, pstrdup(rte->alias ? rte->alias->aliasname : get_rel_name(rte->relid)));
	take_name(namer, alias);
	rte->alias = makeAlias(alias, rte->alias ? rte->alias->colnames : NIL);
	rte->eref = makeAlias(alias, rte->eref->colnames);

	Place place;
	place.relid = rte->relid;
	place.name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(rte->relid)),
											get_rel_name(rte->relid));
	place.alias = pstrdup(quote_identifier(alias));
	place.found = false;
	namer.place_of_alias.add(hash_text(place.alias, strlen(place.alias)), namer.places.size());
	namer.places.push(place);
}

bool find_range_references(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, RangeTblRef))
	{
		Bitmapset **used = static_cast<Bitmapset **>(context);
		*used = bms_add_member(*used, castNode(RangeTblRef, node)->rtindex);
		return false;
	}
	if (IsA(node, Query) || IsA(node, SubLink))
		return false;
	return pg::walk_children(node, find_range_references, context);
}

/*
 * pg_get_querydef() prints columns of a query over one range table entry without their table, and
 * in ORDER BY such a name means the output column first. A second entry that nothing refers to
 * makes it print the table.
 */
void ask_for_column_prefixes(Query *query)
{
	if (list_length(query->rtable) != 1 || query->sortClause == NIL)
		return;
	RangeTblEntry *unused = makeNode(RangeTblEntry);
	unused->rtekind = RTE_RESULT;
	unused->eref = makeAlias("unused", NIL);
	query->rtable = lappend(query->rtable, unused);
}

/* An INSERT through a view has another "excluded", of the view, which would take the name away. */
void leave_one_excluded(Query *query)
{
	ListCell *cell;
	foreach (cell, query->onConflict ? query->rtable : NIL)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (foreach_current_index(cell) + 1 == query->onConflict->exclRelIndex ||
			rte->eref == nullptr || strcmp(rte->eref->aliasname, "excluded") != 0)
			continue;
		rte->eref = makeAlias("unused", rte->eref->colnames);
		rte->alias = nullptr;
	}
}

/*
 * The legs of a set operation are printed without their names, but for each leg pg_get_querydef()
 * goes through the names of all others.
 */
void leave_legs_nameless(Query *query)
{
	ListCell *cell;
	foreach (cell, query->setOperations ? query->rtable : NIL)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind != RTE_SUBQUERY)
			continue;
		Alias *nameless = makeNode(Alias);
		nameless->colnames = rte->eref->colnames;
		rte->eref = nameless;
		rte->alias = nullptr;
	}
}

/* Gives every sharded table that is printed a unique alias, in all levels of the query. */
bool name_tables(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		Bitmapset *used = range_table_references(reinterpret_cast<Node *>(query->jointree));
		if (query->resultRelation)
		{
			used = bms_add_member(used, query->resultRelation);
			/* The table below an updatable view comes from a FROM list, and would be printed there.
			 */
			rt_fetch(query->resultRelation, query->rtable)->inFromCl = false;
		}
		int index = -1;
		while ((index = bms_next_member(used, index)) >= 0)
		{
			RangeTblEntry *rte = rt_fetch(index, query->rtable);
			/* A rule's action reads the view that it stands for, which came from no FROM list. */
			rte->inFromCl = rte->inFromCl || index != query->resultRelation;
			if (is_sharded_rte(rte))
				name_table(*static_cast<Namer *>(context), rte);
		}
		ask_for_column_prefixes(query);
		leave_one_excluded(query);
		leave_legs_nameless(query);
		make_assignments_printable(query);
		return pg::walk_query(query, name_tables, context);
	}
	/* A rule's NEW.column that is not assigned is OLD's, but would be printed as it was written. */
	if (IsA(node, Var) &&
		castNode(Var, node)->varnosyn != static_cast<Index>(castNode(Var, node)->varno))
		castNode(Var, node)->varnosyn = 0;
	return pg::walk_children(node, name_tables, context);
}

/* --- tableoid -------------------------------------------------------------------------------- */

/* The columns whose value or type says which table it is. */
bool is_shell_column(const Var *var)
{
	return var->varattno == TableOidAttributeNumber || var->varattno == 0;
}

/* citus_internal.shell_oid(tableoid, names, oids): the partition's shell, as this node numbers it.
 */
Expr *partition_oid(const Var *var, Oid relid)
{
	List *partitions = find_all_inheritors(relid, AccessShareLock, nullptr);
	const int count = list_length(partitions);
	Datum *names = static_cast<Datum *>(palloc(sizeof(Datum) * count));
	Datum *oids = static_cast<Datum *>(palloc(sizeof(Datum) * count));
	ListCell *cell;
	foreach (cell, partitions)
	{
		const int index = foreach_current_index(cell);
		const Oid partition = lfirst_oid(cell);
		names[index] = CStringGetTextDatum(
			shell_name(get_namespace_name(get_rel_namespace(partition)), get_rel_name(partition)));
		oids[index] = ObjectIdGetDatum(partition);
	}
	const auto constant = [](Oid type, Datum value) {
		return makeConst(type, -1, type == TEXTARRAYOID ? DEFAULT_COLLATION_OID : InvalidOid, -1,
						 value, false, false);
	};
	Const *name_list =
		constant(TEXTARRAYOID,
				 PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT)));
	Const *oid_list = constant(
		OIDARRAYOID,
		PointerGetDatum(construct_array(oids, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT)));
	Oid types[] = {OIDOID, TEXTARRAYOID, OIDARRAYOID};
	const Oid function = LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("shell_oid"))), 3,
		types, false);
	return reinterpret_cast<Expr *>(
		makeFuncExpr(function, OIDOID, list_make3(copyObjectImpl(var), name_list, oid_list),
					 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

Expr *shell_oid(const Var *var, const RangeTblEntry *rte)
{
	if (get_rel_relkind(rte->relid) == RELKIND_PARTITIONED_TABLE)
		return partition_oid(var, rte->relid);
	return reinterpret_cast<Expr *>(
		makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(rte->relid), false, true));
}

/* ROW(column, ...)::shell's row type: the shard's own row type is another one. */
Expr *whole_row(const Var *var, const RangeTblEntry *rte)
{
	RowExpr *row = makeNode(RowExpr);
	row->row_typeid = get_rel_type_id(rte->relid);
	row->row_format = COERCE_EXPLICIT_CAST;
	row->location = -1;
	const int count = list_length(rte->eref->colnames);
	for (AttrNumber attno = 1; attno <= count; attno++)
	{
		Oid type;
		int32 typmod;
		Oid collation;
		char *name = pg::column_name(rte->relid, attno);
		if (name == nullptr)
		{
			/* A dropped column: PostgreSQL's deparsing leaves it out. */
			row->args = lappend(row->args, makeNullConst(INT4OID, -1, InvalidOid));
			continue;
		}
		get_atttypetypmodcoll(rte->relid, attno, &type, &typmod, &collation);
		row->args = lappend(row->args, pg::of_same_row(makeVar(var->varno, attno, type, typmod,
															   collation, var->varlevelsup),
													   var));
	}
	return reinterpret_cast<Expr *>(row);
}

/* That the table has given the row. */
Expr *has_tableoid(const Var *var)
{
	NullTest *test = makeNode(NullTest);
	test->arg = reinterpret_cast<Expr *>(pg::of_same_row(
		makeVar(var->varno, TableOidAttributeNumber, OIDOID, -1, InvalidOid, var->varlevelsup),
		var));
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return reinterpret_cast<Expr *>(test);
}

/* The same, asking for no more than the row's columns, to which alone the role may have a right. */
Expr *has_row(const Var *var)
{
	DistinctExpr *distinct = makeNode(DistinctExpr);
	distinct->opno = lookup_type_cache(RECORDOID, TYPECACHE_EQ_OPR)->eq_opr;
	distinct->opfuncid = get_opcode(distinct->opno);
	distinct->opresulttype = BOOLOID;
	distinct->args = list_make2(copyObjectImpl(var), makeNullConst(RECORDOID, -1, InvalidOid));
	distinct->location = -1;
	return reinterpret_cast<Expr *>(distinct);
}

/* The value, or NULL in the rows that an outer join made up. */
Node *unless_null_extended(Expr *given, Expr *value)
{
	CaseWhen *when = makeNode(CaseWhen);
	when->expr = given;
	when->result = value;
	when->location = -1;
	CaseExpr *expr = makeNode(CaseExpr);
	expr->casetype = exprType(reinterpret_cast<Node *>(value));
	expr->args = list_make1(when);
	expr->defresult = reinterpret_cast<Expr *>(makeNullConst(expr->casetype, -1, InvalidOid));
	expr->location = -1;
	return reinterpret_cast<Node *>(expr);
}

struct TableOids
{
	List *queries; /* innermost first */
	Oid row_left;
};

Node *replace_tableoid(Node *node, void *context)
{
	TableOids *state = static_cast<TableOids *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, FuncExpr) && castNode(FuncExpr, node)->funcid == state->row_left)
		return static_cast<Node *>(copyObjectImpl(node));
	if (IsA(node, Var))
	{
		const Var *var = castNode(Var, node);
		if (!is_shell_column(var) ||
			static_cast<int>(var->varlevelsup) >= list_length(state->queries))
			return static_cast<Node *>(copyObjectImpl(node));
		const Query *query = static_cast<const Query *>(list_nth(state->queries, var->varlevelsup));
		const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
		if (!is_sharded_rte(rte))
			return static_cast<Node *>(copyObjectImpl(node));
		Expr *value = var->varattno == 0 ? whole_row(var, rte) : shell_oid(var, rte);
		/* OLD and NEW may be missing, too. */
		if (!pg::is_old_or_new(var) &&
			!bms_is_member(static_cast<int>(var->varno),
						   nullable_relations(reinterpret_cast<Node *>(query->jointree))))
			return reinterpret_cast<Node *>(value);
		return unless_null_extended(var->varattno == 0 ? has_row(var) : has_tableoid(var), value);
	}
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		state->queries = lcons(query, state->queries);
		Node *result = reinterpret_cast<Node *>(pg::mutate_query(query, replace_tableoid, context));
		state->queries = list_delete_first(state->queries);
		return result;
	}
	return pg::mutate_children(node, replace_tableoid, context);
}

bool uses_tableoid(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
		return is_shell_column(castNode(Var, node));
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), uses_tableoid, context);
	return pg::walk_children(node, uses_tableoid, context);
}

/* --- text ------------------------------------------------------------------------------------ */

char *deparse_qualified(Query *query)
{
	const int level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* Constants in full, whatever the client wants to see of its results. */
	if (extra_float_digits < 1)
		(void) set_config_option("extra_float_digits", "1", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	char *text = pg_get_querydef(query, false);
	AtEOXact_GUC(true, level);
	return text;
}

/* The end of the identifier that begins here, quoted or not. */
const char *end_of_identifier(const char *text)
{
	if (*text == '"')
	{
		for (text++; *text != '\0'; text++)
			if (*text == '"' && *++text != '"')
				break;
		return text;
	}
	while (*text == '_' || *text == '$' || (*text >= '0' && *text <= '9') ||
		   (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text & 0x80) != 0)
		text++;
	return text;
}

/* Notes the table that is printed at this offset, as "schema.table alias" or (INSERT) "schema.table
 * AS alias", if one is. One table may be printed several times: a subquery of the select list comes
 * again in ORDER BY. */
void match_place(Namer& namer, pg::Vec<Hit>& hits, const char *text, int offset)
{
	const char *name = text + offset;
	const char *end = end_of_identifier(name);
	if (*end != '.')
		return;
	end = end_of_identifier(end + 1);
	if (*end != ' ')
		return;
	const size_t name_length = static_cast<size_t>(end - name);
	const char *alias = strncmp(end + 1, "AS ", 3) == 0 ? end + 4 : end + 1;
	const size_t alias_length = static_cast<size_t>(end_of_identifier(alias) - alias);
	const auto is = [](const char *known, const char *printed, size_t length) {
		return strncmp(known, printed, length) == 0 && known[length] == '\0';
	};
	const int found = namer.place_of_alias.find(hash_text(alias, alias_length), [&](int number) {
		return is(namer.places[number].alias, alias, alias_length);
	});
	if (found < 0 || !is(namer.places[found].name, name, name_length))
		return;
	namer.places[found].found = true;
	hits.push({namer.places[found].relid, offset, offset + static_cast<int>(name_length)});
}

struct ValuesList
{
	int start = -1;
	int end = -1;
};

/* Walks over the text's tokens, finds the tables and the marked VALUES list. */
void scan_places(const char *text, Namer& namer, pg::Vec<Hit>& hits, ValuesList *values)
{
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	int previous = 0;
	int open = -1; /* offset of the latest "(" */
	bool in_values = false;
	for (;;)
	{
		core_YYSTYPE value;
		YYLTYPE offset;
		const int token = core_yylex(&value, &offset, scanner);
		if (token == 0)
			break;
		if (token == '(')
			open = offset;
		else if (token == TOKEN_PARAM && value.ival == VALUES_MARKER)
		{
			values->start = open;
			in_values = true;
		}
		else if (token == ')' && in_values)
		{
			values->end = offset + 1;
			in_values = false;
		}
		else if (token >= TOKEN_IDENT && previous != '.')
			match_place(namer, hits, text, offset);
		previous = token;
	}
	scanner_finish(scanner);
}

void add_piece(QueryTemplate *result, const char *text, int length)
{
	result->pieces = lappend(result->pieces, makeString(pnstrdup(text, length)));
}

} // namespace

bool is_sharded(Oid relid)
{
	if (relid < FirstNormalObjectId)
		return false;
	const catalog::Table *table = catalog::find_table(relid);
	return table != nullptr;
}

Bitmapset *range_table_references(Node *jointree)
{
	Bitmapset *used = nullptr;
	find_range_references(jointree, &used);
	return used;
}

Bitmapset *nullable_relations(Node *node)
{
	Bitmapset *result = nullptr;
	if (IsA(node, FromExpr))
	{
		ListCell *cell;
		foreach (cell, castNode(FromExpr, node)->fromlist)
			result = bms_add_members(result, nullable_relations(static_cast<Node *>(lfirst(cell))));
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr *join = castNode(JoinExpr, node);
		result = bms_union(nullable_relations(join->larg), nullable_relations(join->rarg));
		/* What a kind of join does that is not known here could be anything. */
		if (join->jointype != JOIN_INNER && join->jointype != JOIN_RIGHT)
			result = bms_add_members(result, range_table_references(join->rarg));
		if (join->jointype != JOIN_INNER && join->jointype != JOIN_LEFT)
			result = bms_add_members(result, range_table_references(join->larg));
	}
	return result;
}

bool is_sharded_rte(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_COMPOSITE_TYPE &&
		   rte->relkind != RELKIND_VIEW && is_sharded(rte->relid);
}

char *shell_name(const char *schema, const char *name)
{
	return psprintf("%zu.%s.%s", strlen(schema), schema, name);
}

Oid row_left_function()
{
	Oid types[] = {OIDOID, TIDOID, TIDOID};
	return LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("row_left"))), 3,
		types, false);
}

QueryTemplate make_query_template(Query *query)
{
	query = spell_records(query);
	if (uses_tableoid(reinterpret_cast<Node *>(query), nullptr))
	{
		TableOids state = {NIL, row_left_function()};
		query = castNode(Query, replace_tableoid(reinterpret_cast<Node *>(query), &state));
	}

	if (query->returningList != NIL)
		pg::name_old_and_new(query);
	Namer namer;
	collect_names(reinterpret_cast<Node *>(query), &namer);
	name_tables(reinterpret_cast<Node *>(query), &namer);

	char *text = deparse_qualified(query);
	ValuesList values;
	pg::Vec<Hit> hits;
	scan_places(text, namer, hits, &values);
	bool complete = true;
	for (const Place& place : namer.places.span())
		complete = complete && place.found;
	if (!complete)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot run this statement on distributed tables"),
						errdetail("Its tables could not be found in the text for the nodes."),
						errcontext("text for the nodes: %s", text)));

	/* Holes in the order of the text: hits come in that order. */
	QueryTemplate result = {NIL, NIL};
	int position = 0;
	const auto add_hole = [&](Oid relid, int start, int end) {
		add_piece(&result, text + position, start - position);
		result.holes = lappend_oid(result.holes, relid);
		position = end;
	};
	for (const Hit& hit : hits.span())
	{
		if (values.start >= position && values.start < hit.start)
			add_hole(InvalidOid, values.start, values.end);
		add_hole(hit.relid, hit.start, hit.end);
	}
	if (values.start >= position)
		add_hole(InvalidOid, values.start, values.end);
	add_piece(&result, text + position, static_cast<int>(strlen(text)) - position);
	return result;
}

} // namespace civitas::deparse
