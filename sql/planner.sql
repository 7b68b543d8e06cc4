-- Transition states of aggregates, as values that travel: see src/planner/partial_state.cpp.
CREATE FUNCTION citus_internal.partial_transition(internal, text, VARIADIC "any") RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_transition';
CREATE FUNCTION citus_internal.partial_bytes_final(internal) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_bytes';
CREATE FUNCTION citus_internal.partial_text_final(internal) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_partial_text';

CREATE AGGREGATE citus_internal.partial_bytes(text, VARIADIC "any") (
    SFUNC = citus_internal.partial_transition,
    STYPE = internal,
    FINALFUNC = citus_internal.partial_bytes_final,
    PARALLEL = SAFE
);
CREATE AGGREGATE citus_internal.partial_text(text, VARIADIC "any") (
    SFUNC = citus_internal.partial_transition,
    STYPE = internal,
    FINALFUNC = citus_internal.partial_text_final,
    PARALLEL = SAFE
);

-- What statements check on their way: see src/planner/check_options.cpp.
CREATE FUNCTION citus_internal.unreferenced(referenced boolean, table_name text, constraint_name text, referencing text, columns text, "values" text[])
    RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_unreferenced';
CREATE FUNCTION citus_internal.row_left(shard oid, "row" tid, found tid) RETURNS tid
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'citus_row_left';
CREATE FUNCTION citus_internal.check_option(holds boolean, view_name text, "row" text[]) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_check_option';
CREATE FUNCTION citus_internal.visible_in_view(holds boolean, view_name text) RETURNS boolean
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_visible_in_view';

CREATE FUNCTION citus_internal.shell_oid(shard oid, names text[], oids oid[]) RETURNS oid
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'citus_shell_oid';
CREATE FUNCTION citus_internal.merge_once(count bigint) RETURNS boolean
    LANGUAGE C VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'citus_merge_once';
