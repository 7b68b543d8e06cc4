-- Counters: src/stats/counters.cpp, src/stats/statements.cpp.

CREATE FUNCTION pg_catalog.citus_stat_counters(database_id oid DEFAULT 0, OUT database_id oid,
        OUT connection_establishment_succeeded bigint, OUT connection_establishment_failed bigint,
        OUT connection_reused bigint, OUT query_execution_single_shard bigint,
        OUT query_execution_multi_shard bigint, OUT stats_reset timestamp with time zone)
    RETURNS SETOF record
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_counters';

CREATE FUNCTION pg_catalog.citus_stat_counters_reset(database_oid oid DEFAULT 0) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_counters_reset';
REVOKE ALL ON FUNCTION pg_catalog.citus_stat_counters_reset(oid) FROM PUBLIC;

CREATE VIEW citus.citus_stat_counters AS
    SELECT d.oid, d.datname AS name,
        coalesce(c.connection_establishment_succeeded, 0) AS connection_establishment_succeeded,
        coalesce(c.connection_establishment_failed, 0) AS connection_establishment_failed,
        coalesce(c.connection_reused, 0) AS connection_reused,
        coalesce(c.query_execution_single_shard, 0) AS query_execution_single_shard,
        coalesce(c.query_execution_multi_shard, 0) AS query_execution_multi_shard,
        c.stats_reset
    FROM pg_catalog.pg_database d
        LEFT JOIN pg_catalog.citus_stat_counters() c ON c.database_id = d.oid;

CREATE FUNCTION pg_catalog.citus_stat_statements(OUT queryid bigint, OUT userid oid, OUT dbid oid, OUT query text,
        OUT executor bigint, OUT partition_key text, OUT calls bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_statements';

CREATE FUNCTION pg_catalog.citus_stat_statements_reset() RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_stat_statements_reset';
REVOKE ALL ON FUNCTION pg_catalog.citus_stat_statements_reset() FROM PUBLIC;

CREATE VIEW citus.citus_stat_statements AS
    SELECT s.queryid, s.userid, s.dbid, s.query,
        CASE s.executor WHEN 1 THEN 'adaptive' WHEN 2 THEN 'insert-select' END AS executor,
        s.partition_key, s.calls
    FROM pg_catalog.citus_stat_statements() s;

ALTER VIEW citus.citus_stat_counters SET SCHEMA pg_catalog;
ALTER VIEW citus.citus_stat_statements SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.citus_stat_counters, pg_catalog.citus_stat_statements TO PUBLIC;
