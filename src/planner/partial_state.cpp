/*
 * partial_state.cpp: the transition state of any aggregate, as a value that travels.
 *
 * citus_internal.partial_bytes(aggregate, arguments...) and partial_text(...) are aggregates that
 * run another one's transition function and return its state instead of its result: states of type
 * internal through the aggregate's own serialization function, others as text. The asking node
 * combines them. The aggregate is named with its argument types, qualified; the caller needs
 * EXECUTE on it, and the arguments must be of its types: they go into its transition function as
 * they are.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "parser/parse_agg.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* The aggregate that is run, looked up once in a query. */
struct Aggregate
{
	FmgrInfo transition;
	Oid serialize; /* InvalidOid unless the state is internal */
	Oid type;
	int16 length;
	bool by_value;
	bool no_initial; /* it has no initial value */
	Datum initial;
	int arguments;
	Oid collation;
	text *name; /* as the caller gave it */
};

/* The state of one group. */
struct State
{
	Aggregate *aggregate;
	Datum value;
	bool is_null;
	bool no_value; /* strict and without an initial value: the first input becomes the state */
};

void check_argument_types(FunctionCallInfo fcinfo, Oid aggregate, Oid *types, int count)
{
	Oid *declared;
	int declared_count;
	get_func_signature(aggregate, &declared, &declared_count);
	bool right = declared_count == count;
	for (int i = 0; i < count; i++)
	{
		types[i] = get_fn_expr_argtype(fcinfo->flinfo, i + 2);
		right = right && OidIsValid(types[i]) && declared[i] != ANYOID &&
				(IsPolymorphicType(declared[i]) || IsBinaryCoercible(types[i], declared[i]));
	}
	if (right)
		(void) enforce_generic_type_consistency(types, declared, count, get_func_rettype(aggregate),
												false);
	else
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("arguments do not have the types of aggregate %s",
							   get_func_name(aggregate))));
}

void set_initial_value(Aggregate *state, HeapTuple tuple)
{
	const Datum initial =
		SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &state->no_initial);
	if (state->no_initial)
		return;
	Oid input;
	Oid parameter;
	getTypeInputInfo(state->type, &input, &parameter);
	state->initial = OidInputFunctionCall(input, TextDatumGetCString(initial), parameter, -1);
}

/* Everything lives in the function's memory context, which is current. */
Aggregate *find_aggregate(FunctionCallInfo fcinfo)
{
	Aggregate *state = static_cast<Aggregate *>(palloc0(sizeof(Aggregate)));
	state->name = PG_GETARG_TEXT_P_COPY(1);
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const Oid aggregate =
		DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(name)));
	if (!pg::may_execute(aggregate))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_AGGREGATE, get_func_name(aggregate));
	state->arguments = PG_NARGS() - 2;
	state->collation = PG_GET_COLLATION();
	Oid *types = static_cast<Oid *>(palloc(sizeof(Oid) * (state->arguments + 1)));

	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not an aggregate function", name)));
	check_argument_types(fcinfo, aggregate, types, state->arguments);
	const Form_pg_aggregate form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
	if (form->aggkind != AGGKIND_NORMAL || !OidIsValid(form->aggcombinefn) ||
		(form->aggtranstype == INTERNALOID && !OidIsValid(form->aggserialfn)))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("aggregate %s has no partial states", name)));
	state->type =
		resolve_aggregate_transtype(aggregate, form->aggtranstype, types, state->arguments);
	get_typlenbyval(state->type, &state->length, &state->by_value);
	state->serialize = state->type == INTERNALOID ? form->aggserialfn : InvalidOid;
	fmgr_info(form->aggtransfn, &state->transition);
	Expr *expression;
	build_aggregate_transfn_expr(types, state->arguments, 0, false, state->type, state->collation,
								 form->aggtransfn, InvalidOid, &expression, nullptr);
	fmgr_info_set_expr(reinterpret_cast<Node *>(expression), &state->transition);
	set_initial_value(state, tuple);
	ReleaseSysCache(tuple);
	return state;
}

bool is_named(const Aggregate *aggregate, const text *name)
{
	return VARSIZE_ANY_EXHDR(aggregate->name) == VARSIZE_ANY_EXHDR(name) &&
		   memcmp(VARDATA_ANY(aggregate->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0;
}

/* A new group's state, in `context`. */
State *make_state(FunctionCallInfo fcinfo, MemoryContext context)
{
	Aggregate *aggregate = static_cast<Aggregate *>(fcinfo->flinfo->fn_extra);
	if (aggregate == nullptr || !is_named(aggregate, PG_GETARG_TEXT_PP(1)))
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		aggregate = find_aggregate(fcinfo);
		MemoryContextSwitchTo(before);
		fcinfo->flinfo->fn_extra = aggregate;
	}
	State *state = static_cast<State *>(MemoryContextAllocZero(context, sizeof(State)));
	state->aggregate = aggregate;
	state->is_null = state->no_value = aggregate->no_initial;
	if (!aggregate->no_initial)
	{
		MemoryContext before = MemoryContextSwitchTo(context);
		state->value = datumCopy(aggregate->initial, aggregate->by_value, aggregate->length);
		MemoryContextSwitchTo(before);
	}
	return state;
}

/* One row into the state; like PostgreSQL's Agg node does. */
void advance(State *state, FunctionCallInfo fcinfo, MemoryContext context)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	Aggregate *aggregate = state->aggregate;
	if (aggregate->transition.fn_strict)
	{
		for (int i = 0; i < aggregate->arguments; i++)
			if (PG_ARGISNULL(i + 2))
				return;
		if (state->no_value)
		{
			MemoryContext before = MemoryContextSwitchTo(context);
			state->value = datumCopy(PG_GETARG_DATUM(2), aggregate->by_value, aggregate->length);
			MemoryContextSwitchTo(before);
			state->no_value = state->is_null = false;
			return;
		}
		if (state->is_null)
			return;
	}
	InitFunctionCallInfoData(*call, &aggregate->transition,
							 static_cast<short>(aggregate->arguments + 1), aggregate->collation,
							 fcinfo->context, nullptr);
	call->args[0].value = state->value;
	call->args[0].isnull = state->is_null;
	for (int i = 0; i < aggregate->arguments; i++)
		call->args[i + 1] = fcinfo->args[i + 2];
	Datum value = FunctionCallInvoke(call);
	if (!aggregate->by_value && (call->isnull || state->is_null || value != state->value))
	{
		if (!call->isnull)
		{
			MemoryContext before = MemoryContextSwitchTo(context);
			value = datumCopy(value, false, aggregate->length);
			MemoryContextSwitchTo(before);
		}
		if (!state->is_null)
			pfree(DatumGetPointer(state->value));
	}
	state->value = value;
	state->is_null = call->isnull;
	state->no_value = false;
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_partial_transition);
PGDLLEXPORT Datum citus_partial_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("function called outside of an aggregate")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("aggregate must not be null")));
	State *state;
	if (PG_ARGISNULL(0))
		state = make_state(fcinfo, context);
	else
		state = reinterpret_cast<State *>(PG_GETARG_POINTER(0));
	advance(state, fcinfo, context);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(citus_partial_bytes);
PGDLLEXPORT Datum citus_partial_bytes(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	if (!AggCheckCallContext(fcinfo, &context) || PG_ARGISNULL(0))
		PG_RETURN_NULL();
	const State *state = reinterpret_cast<const State *>(PG_GETARG_POINTER(0));
	if (state->is_null)
		PG_RETURN_NULL();
	if (!OidIsValid(state->aggregate->serialize))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the aggregate's state is not of type internal")));
	FmgrInfo serialize;
	fmgr_info(state->aggregate->serialize, &serialize);
	LOCAL_FCINFO(call, 1);
	InitFunctionCallInfoData(*call, &serialize, 1, InvalidOid, fcinfo->context, nullptr);
	call->args[0].value = state->value;
	call->args[0].isnull = false;
	const Datum result = FunctionCallInvoke(call);
	if (call->isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

PG_FUNCTION_INFO_V1(citus_partial_text);
PGDLLEXPORT Datum citus_partial_text(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	if (!AggCheckCallContext(fcinfo, &context) || PG_ARGISNULL(0))
		PG_RETURN_NULL();
	const State *state = reinterpret_cast<const State *>(PG_GETARG_POINTER(0));
	if (state->is_null)
		PG_RETURN_NULL();
	if (OidIsValid(state->aggregate->serialize))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the aggregate's state is of type internal")));
	Oid output;
	bool variable;
	getTypeOutputInfo(state->aggregate->type, &output, &variable);
	PG_RETURN_TEXT_P(cstring_to_text(OidOutputFunctionCall(output, state->value)));
}

CIVITAS_PG_END

} // namespace civitas::planner
