/*
 * collations.cpp: COLLATE where planned expressions need it.
 *
 * The parser derives the collation of a function's arguments and of its result from what it is
 * given, and writes it into the tree: columns bring their own, parameters their type's, COLLATE
 * wins over both. PostgreSQL's planner then drops COLLATE, for the tree says all; in text it would
 * be missing. So, bottom up, what a parser would derive is compared to what the tree says:
 *
 *   an expression's own collation     differs: the expression becomes (expr COLLATE collation)
 *   the collation that it works with  differs, or the arguments disagree: arguments get COLLATE,
 *                                     the one that has this collation already if there is one, and
 *                                     those that ask for another
 *
 * What is left where it is does no harm: COLLATE on an expression makes any use of it explicit,
 * and a use that wants another collation is found one step further up.
 */
#include "civitas/deparse/collations.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_collation.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::deparse {

namespace {

/* What a parser knows of the expressions read so far. */
struct Derived
{
	Oid collation = InvalidOid; /* none: nothing of a type with collations */
	bool is_explicit = false;	/* by COLLATE */
	bool conflict = false;
};

Node *keep(Node *node, Derived *derived);

Node *keep_mutator(Node *node, void *derived)
{
	return keep(node, static_cast<Derived *>(derived));
}

/* Columns and constants that disagree: those that are not the default's win. */
void add_derived(Derived *into, const Derived& from)
{
	if (into == nullptr || (!OidIsValid(from.collation) && !from.conflict))
		return;
	const bool disagree = OidIsValid(into->collation) && into->collation != from.collation;
	into->conflict |= from.conflict;
	if (from.is_explicit)
	{
		into->conflict |= disagree && into->is_explicit;
		into->collation = from.collation;
		into->is_explicit = true;
	}
	else if (!into->is_explicit)
	{
		into->conflict |= disagree && into->collation != DEFAULT_COLLATION_OID &&
						  from.collation != DEFAULT_COLLATION_OID;
		if (!disagree || into->collation == DEFAULT_COLLATION_OID)
			into->collation = from.collation;
	}
}

/* An expression whose collation has no part in that of the expression around it. */
Node *keep_apart(Node *node)
{
	Derived derived;
	return keep(node, &derived);
}

Node *keep_arguments(Node *node, Derived *derived)
{
	return pg::mutate_children(node, keep_mutator, derived);
}

bool has_collation(Node *node)
{
	return OidIsValid(get_typcollation(exprType(node)));
}

/* Says by COLLATE that the arguments, expressions or target entries, are compared by `collation`.
 */
void collate_arguments(List *arguments, Oid collation)
{
	const auto argument = [](ListCell *cell) -> Expr ** {
		Node *node = static_cast<Node *>(lfirst(cell));
		if (IsA(node, TargetEntry))
			return castNode(TargetEntry, node)->resjunk ? nullptr
														: &castNode(TargetEntry, node)->expr;
		return reinterpret_cast<Expr **>(&lfirst(cell));
	};
	Expr **chosen = nullptr;
	ListCell *cell;
	foreach (cell, arguments)
	{
		Expr **expr = argument(cell);
		/* CASE x WHEN y: x stands elsewhere. */
		if (expr == nullptr || IsA(*expr, CaseTestExpr) ||
			!has_collation(reinterpret_cast<Node *>(*expr)))
			continue;
		Derived now;
		keep(reinterpret_cast<Node *>(*expr), &now);
		if (now.is_explicit && (now.conflict || now.collation != collation))
			*expr = collate(*expr, collation);
		else if (chosen == nullptr || (now.collation == collation && !now.conflict))
			chosen = expr;
	}
	if (chosen != nullptr)
		*chosen = collate(*chosen, collation);
}

List **arguments_of(Node *node)
{
	switch (nodeTag(node))
	{
	case T_FuncExpr:
		return &castNode(FuncExpr, node)->args;
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
		return &reinterpret_cast<OpExpr *>(node)->args;
	case T_ScalarArrayOpExpr:
		return &castNode(ScalarArrayOpExpr, node)->args;
	case T_MinMaxExpr:
		return &castNode(MinMaxExpr, node)->args;
	case T_Aggref:
		return &castNode(Aggref, node)->args;
	case T_WindowFunc:
		return &castNode(WindowFunc, node)->args;
	default:
		return nullptr;
	}
}

/* The result of an expression whose arguments gave `derived`. */
Node *keep_result(Node *node, Derived result, Derived *around)
{
	if (!has_collation(node))
		return node;
	if (!OidIsValid(result.collation) && !result.conflict)
		result.collation = get_typcollation(exprType(node));
	const Oid wanted = exprCollation(node);
	if (OidIsValid(wanted) && (result.conflict || result.collation != wanted))
	{
		node = reinterpret_cast<Node *>(collate(reinterpret_cast<Expr *>(node), wanted));
		result = {wanted, true, false};
	}
	add_derived(around, result);
	return node;
}

/* Functions, operators and everything else that takes the collation of all its arguments. */
Node *keep_call(Node *node, Derived *around)
{
	Derived derived;
	node = keep_arguments(node, &derived);
	const Oid input = exprInputCollation(node);
	List **arguments = arguments_of(node);
	if (OidIsValid(input) && arguments != nullptr &&
		(derived.conflict || (OidIsValid(derived.collation) && derived.collation != input)))
	{
		collate_arguments(*arguments, input);
		derived = {input, true, false};
	}
	return keep_result(node, derived, around);
}

Node *keep_aggregate(Aggref *aggregate, Derived *around)
{
	Aggref *copy = makeNode(Aggref);
	*copy = *aggregate;
	copy->aggfilter = nullptr;
	copy->args = NIL;
	ListCell *cell;
	Derived derived;
	foreach (cell, aggregate->args)
	{
		/* What is only sorted by has no part in the aggregate's collation. */
		TargetEntry *entry = makeNode(TargetEntry);
		*entry = *lfirst_node(TargetEntry, cell);
		Derived apart;
		entry->expr = reinterpret_cast<Expr *>(
			keep(reinterpret_cast<Node *>(entry->expr), entry->resjunk ? &apart : &derived));
		copy->args = lappend(copy->args, entry);
	}
	copy->aggdirectargs =
		castNode(List, keep(reinterpret_cast<Node *>(aggregate->aggdirectargs), &derived));
	if (OidIsValid(copy->inputcollid) &&
		(derived.conflict ||
		 (OidIsValid(derived.collation) && derived.collation != copy->inputcollid)))
	{
		collate_arguments(copy->args, copy->inputcollid);
		derived = {copy->inputcollid, true, false};
	}
	copy->aggfilter =
		reinterpret_cast<Expr *>(keep_apart(reinterpret_cast<Node *>(aggregate->aggfilter)));
	return keep_result(reinterpret_cast<Node *>(copy), derived, around);
}

Node *keep_row_comparison(RowCompareExpr *rows)
{
	RowCompareExpr *copy = makeNode(RowCompareExpr);
	*copy = *rows;
	copy->largs = copy->rargs = NIL;
	ListCell *left;
	ListCell *right;
	ListCell *collation;
	forthree(left, rows->largs, right, rows->rargs, collation, rows->inputcollids)
	{
		Derived derived;
		List *pair = list_make2(keep(static_cast<Node *>(lfirst(left)), &derived),
								keep(static_cast<Node *>(lfirst(right)), &derived));
		const Oid wanted = lfirst_oid(collation);
		if (OidIsValid(wanted) && (derived.conflict || derived.collation != wanted))
			collate_arguments(pair, wanted);
		copy->largs = lappend(copy->largs, linitial(pair));
		copy->rargs = lappend(copy->rargs, lsecond(pair));
	}
	return reinterpret_cast<Node *>(copy);
}

Node *keep_case(CaseExpr *expr, Derived *around)
{
	CaseExpr *copy = makeNode(CaseExpr);
	*copy = *expr;
	copy->arg = reinterpret_cast<Expr *>(keep_apart(reinterpret_cast<Node *>(expr->arg)));
	copy->args = NIL;
	Derived derived;
	ListCell *cell;
	foreach (cell, expr->args)
	{
		CaseWhen *when = makeNode(CaseWhen);
		*when = *lfirst_node(CaseWhen, cell);
		when->expr = reinterpret_cast<Expr *>(keep_apart(reinterpret_cast<Node *>(when->expr)));
		when->result =
			reinterpret_cast<Expr *>(keep(reinterpret_cast<Node *>(when->result), &derived));
		copy->args = lappend(copy->args, when);
	}
	copy->defresult =
		reinterpret_cast<Expr *>(keep(reinterpret_cast<Node *>(expr->defresult), &derived));
	return keep_result(reinterpret_cast<Node *>(copy), derived, around);
}

Node *keep_subscripts(SubscriptingRef *expr, Derived *around)
{
	SubscriptingRef *copy = makeNode(SubscriptingRef);
	*copy = *expr;
	copy->refupperindexpr =
		castNode(List, keep_apart(reinterpret_cast<Node *>(expr->refupperindexpr)));
	copy->reflowerindexpr =
		castNode(List, keep_apart(reinterpret_cast<Node *>(expr->reflowerindexpr)));
	Derived derived;
	copy->refexpr =
		reinterpret_cast<Expr *>(keep(reinterpret_cast<Node *>(expr->refexpr), &derived));
	copy->refassgnexpr =
		reinterpret_cast<Expr *>(keep(reinterpret_cast<Node *>(expr->refassgnexpr), &derived));
	return keep_result(reinterpret_cast<Node *>(copy), derived, around);
}

/* The planner's COLLATE is a cast to the type that the expression has. */
Node *keep_cast(RelabelType *cast, Derived *around)
{
	Derived derived;
	Node *argument = keep(reinterpret_cast<Node *>(cast->arg), &derived);
	Node *result = argument;
	if (exprType(argument) != cast->resulttype || exprTypmod(argument) != cast->resulttypmod)
	{
		RelabelType *copy = makeNode(RelabelType);
		*copy = *cast;
		copy->arg = reinterpret_cast<Expr *>(argument);
		return keep_result(reinterpret_cast<Node *>(copy), derived, around);
	}
	if (OidIsValid(cast->resultcollid) &&
		(derived.conflict || derived.collation != cast->resultcollid))
	{
		result = reinterpret_cast<Node *>(
			collate(reinterpret_cast<Expr *>(argument), cast->resultcollid));
		derived = {cast->resultcollid, true, false};
	}
	add_derived(around, derived);
	return result;
}

/* A domain with a collation of its own has it whatever its value comes from, COLLATE apart. */
Node *keep_domain(CoerceToDomain *domain, Derived *around)
{
	Derived derived;
	Node *node = keep_arguments(reinterpret_cast<Node *>(domain), &derived);
	const Oid own = get_typcollation(domain->resulttype);
	if (OidIsValid(own) && own != DEFAULT_COLLATION_OID && !derived.is_explicit)
		derived = {own, false, false};
	return keep_result(node, derived, around);
}

Node *keep_leaf(Node *node, Oid collation, Derived *around)
{
	return keep_result(static_cast<Node *>(copyObjectImpl(node)), {collation, false, false},
					   around);
}

Node *keep(Node *node, Derived *around)
{
	if (node == nullptr)
		return nullptr;
	check_stack_depth();
	switch (nodeTag(node))
	{
	case T_Query: {
		Derived apart;
		return reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), keep_mutator, &apart));
	}
	case T_Var:
	case T_CaseTestExpr:
		return keep_leaf(node, exprCollation(node), around);
	case T_Const: {
		/* Printed with COLLATE where it has not its type's. */
		const Oid collation = exprCollation(node);
		add_derived(around, {collation, collation != get_typcollation(exprType(node)), false});
		return static_cast<Node *>(copyObjectImpl(node));
	}
	case T_Param:
	case T_SQLValueFunction:
	case T_CoerceToDomainValue:
		return keep_leaf(node, get_typcollation(exprType(node)), around);
	case T_CollateExpr: {
		Derived apart;
		node = keep_arguments(node, &apart);
		add_derived(around, {castNode(CollateExpr, node)->collOid, true, false});
		return node;
	}
	case T_RelabelType:
		return keep_cast(castNode(RelabelType, node), around);
	case T_CoerceToDomain:
		return keep_domain(castNode(CoerceToDomain, node), around);
	case T_RowCompareExpr:
		return keep_row_comparison(castNode(RowCompareExpr, node));
	case T_CaseExpr:
		return keep_case(castNode(CaseExpr, node), around);
	case T_SubscriptingRef:
		return keep_subscripts(castNode(SubscriptingRef, node), around);
	case T_Aggref:
		return keep_aggregate(castNode(Aggref, node), around);
	case T_FuncExpr:
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
	case T_ScalarArrayOpExpr:
	case T_MinMaxExpr:
	case T_WindowFunc:
	case T_BoolExpr:
	case T_CoerceViaIO:
	case T_ArrayCoerceExpr:
	case T_ArrayExpr:
	case T_CoalesceExpr:
	case T_XmlExpr:
		return keep_call(node, around);
	case T_SubLink:
	case T_FieldSelect: {
		Derived apart;
		node = keep_arguments(node, &apart);
		add_derived(around, {exprCollation(node), false, false});
		return node;
	}
	case T_RowExpr:
	case T_FieldStore:
	case T_NullTest:
	case T_BooleanTest: {
		Derived apart;
		return keep_arguments(node, &apart);
	}
	case T_TargetEntry: {
		Derived apart;
		return keep_arguments(node, &apart);
	}
	default:
		/* Lists and parts of a query. */
		return keep_arguments(node, around);
	}
}

} // namespace

Expr *collate(Expr *expr, Oid collation)
{
	CollateExpr *result = makeNode(CollateExpr);
	result->arg = expr;
	result->collOid = collation;
	result->location = -1;
	return reinterpret_cast<Expr *>(result);
}

Query *keep_collations(Query *query)
{
	return castNode(Query, keep_apart(reinterpret_cast<Node *>(query)));
}

} // namespace civitas::deparse
