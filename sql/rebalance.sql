-- Rebalancing and background jobs: src/cluster/rebalance.cpp, src/cluster/background_jobs.cpp, src/daemon/job_queue.cpp.

-- Strategies --------------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.citus_shard_cost_1(bigint) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1::real $$;

-- The bytes of a shard and of those that move with it, and 100 MB, so that empty shards are spread too. Every node is asked.
CREATE FUNCTION pg_catalog.citus_shard_cost_by_disk_size(bigint) RETURNS real
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_shard WHERE shardid = $1) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('shard %s does not exist', $1);
    END IF;
    RETURN (
        WITH wanted AS (
            SELECT s.shardid FROM pg_dist_shard s WHERE s.shardid = $1
            UNION
            SELECT other.shardid
            FROM pg_dist_shard s
                JOIN pg_dist_partition p USING (logicalrelid)
                JOIN pg_dist_partition q ON q.colocationid = p.colocationid AND p.colocationid <> 0
                JOIN pg_dist_shard other ON other.logicalrelid = q.logicalrelid
                    AND other.shardminvalue IS NOT DISTINCT FROM s.shardminvalue
                    AND other.shardmaxvalue IS NOT DISTINCT FROM s.shardmaxvalue
            WHERE s.shardid = $1),
        placed AS (
            SELECT max(z.size) AS size
            FROM citus_internal.placement_sizes(NULL, 'total', true) z JOIN wanted USING (shardid)
            GROUP BY z.shardid)
        SELECT (104857600 + coalesce(sum(size), 0))::real FROM placed);
END
$$;

CREATE FUNCTION pg_catalog.citus_node_capacity_1(integer) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1::real $$;

CREATE FUNCTION pg_catalog.citus_shard_allowed_on_node_true(bigint, integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT true $$;

CREATE FUNCTION pg_catalog.citus_validate_rebalance_strategy_functions(shard_cost_function regproc,
        node_capacity_function regproc, shard_allowed_on_node_function regproc) RETURNS void
    LANGUAGE plpgsql STRICT STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    expected record;
BEGIN
    FOR expected IN
        SELECT v.role, v.func, v.arguments, v.result
        FROM (VALUES
            ('shard_cost_function', shard_cost_function, '{bigint}'::regtype[], 'real'::regtype),
            ('node_capacity_function', node_capacity_function, '{integer}', 'real'),
            ('shard_allowed_on_node_function', shard_allowed_on_node_function, '{bigint,integer}', 'boolean')
        ) v(role, func, arguments, result)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_proc p
            WHERE p.oid = expected.func AND p.prokind = 'f' AND NOT p.proretset
              AND string_to_array(p.proargtypes::text, ' ')::oid[] = expected.arguments::oid[]
              AND p.prorettype = expected.result)
        THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_function_definition',
                MESSAGE = format('%s cannot be the %s of a rebalance strategy', expected.func, expected.role),
                DETAIL = format('It must be a function (%s) that returns %s.',
                    array_to_string(expected.arguments, ', '), expected.result);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION citus_internal.check_rebalance_strategy() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM citus_validate_rebalance_strategy_functions(NEW.shard_cost_function, NEW.node_capacity_function,
        NEW.shard_allowed_on_node_function);
    IF NEW.default_threshold < NEW.minimum_threshold THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('default_threshold %s is below minimum_threshold %s',
                NEW.default_threshold, NEW.minimum_threshold);
    END IF;
    IF NEW.minimum_threshold < 0 OR NEW.improvement_threshold < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'thresholds of a rebalance strategy must not be negative';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.check_rebalance_strategy() FROM PUBLIC;

CREATE UNIQUE INDEX pg_dist_rebalance_strategy_one_default ON pg_catalog.pg_dist_rebalance_strategy (default_strategy)
    WHERE default_strategy;
CREATE TRIGGER check_strategy BEFORE INSERT OR UPDATE ON pg_catalog.pg_dist_rebalance_strategy
    FOR EACH ROW EXECUTE FUNCTION citus_internal.check_rebalance_strategy();

INSERT INTO pg_catalog.pg_dist_rebalance_strategy VALUES
    ('by_shard_count', false, 'pg_catalog.citus_shard_cost_1', 'pg_catalog.citus_node_capacity_1',
     'pg_catalog.citus_shard_allowed_on_node_true', 0, 0, 0),
    ('by_disk_size', true, 'pg_catalog.citus_shard_cost_by_disk_size', 'pg_catalog.citus_node_capacity_1',
     'pg_catalog.citus_shard_allowed_on_node_true', 0.1, 0.01, 0.5);
SELECT pg_catalog.pg_extension_config_dump('pg_catalog.pg_dist_rebalance_strategy',
    'WHERE name NOT IN (''by_shard_count'', ''by_disk_size'')');

CREATE FUNCTION pg_catalog.citus_add_rebalance_strategy(name name, shard_cost_function regproc,
        node_capacity_function regproc, shard_allowed_on_node_function regproc, default_threshold real,
        minimum_threshold real DEFAULT 0, improvement_threshold real DEFAULT 0) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO pg_catalog.pg_dist_rebalance_strategy VALUES
        (name, false, shard_cost_function, node_capacity_function, shard_allowed_on_node_function,
         default_threshold, minimum_threshold, improvement_threshold)
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_add_rebalance_strategy(name, regproc, regproc, regproc, real, real, real) FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_set_default_rebalance_strategy(name text) RETURNS void
    LANGUAGE plpgsql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_dist_rebalance_strategy s WHERE s.name = $1) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('rebalance strategy "%s" does not exist', $1),
            HINT = 'pg_dist_rebalance_strategy lists them.';
    END IF;
    UPDATE pg_dist_rebalance_strategy SET default_strategy = false WHERE default_strategy;
    UPDATE pg_dist_rebalance_strategy s SET default_strategy = true WHERE s.name = $1;
END
$$;
REVOKE ALL ON FUNCTION pg_catalog.citus_set_default_rebalance_strategy(text) FROM PUBLIC;

-- Plans and moves ---------------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.get_rebalance_table_shards_plan(relation regclass DEFAULT NULL, threshold real DEFAULT NULL,
        max_shard_moves integer DEFAULT 1000000, excluded_shard_list bigint[] DEFAULT '{}',
        drain_only boolean DEFAULT false, rebalance_strategy name DEFAULT NULL,
        improvement_threshold real DEFAULT NULL)
    RETURNS TABLE (table_name regclass, shardid bigint, shard_size bigint, sourcename text, sourceport integer,
        targetname text, targetport integer)
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'get_rebalance_table_shards_plan';

CREATE FUNCTION pg_catalog.rebalance_table_shards(relation regclass DEFAULT NULL, threshold real DEFAULT NULL,
        max_shard_moves integer DEFAULT 1000000, excluded_shard_list bigint[] DEFAULT '{}',
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto', drain_only boolean DEFAULT false,
        rebalance_strategy name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'rebalance_table_shards';

CREATE FUNCTION pg_catalog.citus_drain_node(nodename text, nodeport integer,
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto', rebalance_strategy name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_drain_node';
REVOKE ALL ON FUNCTION pg_catalog.citus_drain_node(text, integer, citus.shard_transfer_mode, name) FROM PUBLIC;

CREATE FUNCTION pg_catalog.citus_rebalance_start(rebalance_strategy name DEFAULT NULL, drain_only boolean DEFAULT false,
        shard_transfer_mode citus.shard_transfer_mode DEFAULT 'auto',
        parallel_transfer_reference_tables boolean DEFAULT false,
        parallel_transfer_colocated_shards boolean DEFAULT false) RETURNS bigint
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_start';
CREATE FUNCTION pg_catalog.citus_rebalance_stop() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_stop';
CREATE FUNCTION pg_catalog.citus_rebalance_wait() RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_rebalance_wait';

-- Background jobs ---------------------------------------------------------------------------------

CREATE FUNCTION citus_internal.jobs_changed() RETURNS trigger
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'citus_internal_jobs_changed';
REVOKE ALL ON FUNCTION citus_internal.jobs_changed() FROM PUBLIC;
CREATE TRIGGER jobs_changed AFTER INSERT OR UPDATE OR DELETE ON pg_catalog.pg_dist_background_job
    FOR EACH STATEMENT EXECUTE FUNCTION citus_internal.jobs_changed();
CREATE TRIGGER jobs_changed AFTER INSERT OR UPDATE OR DELETE ON pg_catalog.pg_dist_background_task
    FOR EACH STATEMENT EXECUTE FUNCTION citus_internal.jobs_changed();

CREATE FUNCTION pg_catalog.citus_job_cancel(jobid bigint) RETURNS void
    LANGUAGE C STRICT VOLATILE
    AS 'MODULE_PATHNAME', 'citus_job_cancel';
CREATE FUNCTION pg_catalog.citus_job_wait(jobid bigint, desired_status citus_job_status DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE
    AS 'MODULE_PATHNAME', 'citus_job_wait';

CREATE FUNCTION pg_catalog.citus_job_list()
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT j.job_id, j.state, j.job_type, j.description, j.started_at, j.finished_at
    FROM pg_catalog.pg_dist_background_job j
    ORDER BY j.job_id
$$;

-- What a process that moves shards is at, for the details of its task; null when it moves none.
CREATE FUNCTION citus_internal.move_progress(pid integer, raw boolean) RETURNS jsonb
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object(
        'phase', min(p.status),
        'hosts', jsonb_build_object(
            'source', min(p.sourcename || ':' || p.sourceport), 'target', min(p.targetname || ':' || p.targetport)),
        'size', jsonb_build_object(
            'source', CASE WHEN raw THEN to_jsonb(sum(p.source_shard_size)) ELSE to_jsonb(pg_size_pretty(sum(p.source_shard_size))) END,
            'target', CASE WHEN raw THEN to_jsonb(sum(p.target_shard_size)) ELSE to_jsonb(pg_size_pretty(sum(p.target_shard_size))) END),
        'percent', least(round(100.0 * sum(p.target_shard_size) / nullif(sum(p.source_shard_size), 0)), 100),
        'LSN', jsonb_build_object(
            'source', max(p.source_lsn), 'target', min(p.target_lsn),
            'lag', CASE WHEN raw THEN to_jsonb(max(p.source_lsn) - min(p.target_lsn))
                ELSE to_jsonb(pg_size_pretty(max(p.source_lsn) - min(p.target_lsn))) END)) END
    FROM get_rebalance_progress() p
    WHERE p.sessionid = pid
$$;

-- Tasks that run, failed, or wait to be tried again, and how many there are in each state.
CREATE FUNCTION pg_catalog.citus_job_status(job_id bigint, raw boolean DEFAULT false)
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz, details jsonb)
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT j.job_id, j.state, j.job_type, j.description, j.started_at, j.finished_at,
        jsonb_build_object(
            'tasks', coalesce((
                SELECT jsonb_agg(jsonb_build_object('task_id', t.task_id, 'state', t.status, 'command', t.command,
                        'retried', coalesce(t.retry_count, 0), 'message', t.message)
                    || coalesce(CASE WHEN t.status IN ('running', 'cancelling') THEN citus_internal.move_progress(t.pid, $2) END, '{}')
                    ORDER BY t.task_id)
                FROM pg_dist_background_task t
                WHERE t.job_id = j.job_id
                  AND (t.status IN ('running', 'cancelling', 'error') OR (t.status = 'runnable' AND t.retry_count > 0))), '[]'),
            'task_state_counts', coalesce((
                SELECT jsonb_object_agg(c.status, c.number)
                FROM (SELECT t.status, count(*) AS number FROM pg_dist_background_task t
                      WHERE t.job_id = j.job_id GROUP BY t.status) c), '{}'))
    FROM pg_dist_background_job j
    WHERE j.job_id = $1
$$;

CREATE FUNCTION pg_catalog.citus_rebalance_status(raw boolean DEFAULT false)
    RETURNS TABLE (job_id bigint, state citus_job_status, job_type name, description text,
        started_at timestamptz, finished_at timestamptz, details jsonb)
    LANGUAGE sql STRICT VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.*
    FROM (SELECT j.job_id FROM pg_dist_background_job j WHERE j.job_type = 'rebalance'
          ORDER BY j.job_id DESC LIMIT 1) newest,
        citus_job_status(newest.job_id, $1) s
$$;

-- The queue's own steps, in its process only. Whoever changes several tasks of a job holds the job's row.

-- What becomes of a task whose attempt failed or was lost: cancelled, tried again after a pause that
-- doubles up to ten minutes, or an error.
CREATE FUNCTION citus_internal.finish_task(task bigint, error text, retriable boolean, pause integer) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_retries constant integer := 10;
BEGIN
    UPDATE pg_dist_background_task t
    SET status = CASE
            WHEN t.status = 'cancelling' THEN 'cancelled'::citus_task_status
            WHEN retriable AND coalesce(t.retry_count, 0) < most_retries THEN 'runnable'
            ELSE 'error' END,
        pid = NULL,
        message = error,
        retry_count = CASE
            WHEN t.status = 'running' AND retriable AND coalesce(t.retry_count, 0) < most_retries
            THEN coalesce(t.retry_count, 0) + 1 ELSE t.retry_count END,
        not_before = clock_timestamp()
            + least(pause * 2.0 ^ coalesce(t.retry_count, 0), 600000) * interval '1 millisecond'
    WHERE t.task_id = task AND t.status IN ('running', 'cancelling');
END
$$;
REVOKE ALL ON FUNCTION citus_internal.finish_task(bigint, text, boolean, integer) FROM PUBLIC;

-- A task should run and no process runs it. Where this server was restarted meanwhile that is no fault of the task: it starts
-- anew at once, and the attempt is not counted. A process that crashed leaves the server's start what it was.
CREATE FUNCTION citus_internal.interrupt_task(task bigint, pause integer) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pg_dist_background_task t
    SET status = 'runnable', pid = NULL, not_before = NULL
    WHERE t.task_id = task AND t.status = 'running' AND t.not_before < pg_postmaster_start_time();
    IF NOT FOUND THEN
        PERFORM citus_internal.finish_task(task, 'interrupted: the process that ran the task has gone', true, pause);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.interrupt_task(bigint, integer) FROM PUBLIC;

-- Tasks become runnable, or never will; jobs get the state that follows from their tasks'.
CREATE FUNCTION citus_internal.settle_jobs() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
    tasks record;
    new_state citus_job_status;
BEGIN
    FOR job IN
        SELECT j.job_id, j.state FROM pg_dist_background_job j
        WHERE j.state NOT IN ('finished', 'cancelled', 'failed')
        ORDER BY j.job_id FOR UPDATE
    LOOP
        WITH RECURSIVE lost AS (
            SELECT d.task_id
            FROM pg_dist_background_task p
                JOIN pg_dist_background_task_depend d ON d.job_id = p.job_id AND d.depends_on = p.task_id
            WHERE p.job_id = job.job_id AND p.status IN ('error', 'cancelled', 'unscheduled')
            UNION
            SELECT d.task_id
            FROM lost JOIN pg_dist_background_task_depend d ON d.job_id = job.job_id AND d.depends_on = lost.task_id)
        UPDATE pg_dist_background_task t SET status = 'unscheduled'
        FROM lost WHERE t.job_id = job.job_id AND t.task_id = lost.task_id AND t.status = 'blocked';

        UPDATE pg_dist_background_task t SET status = 'runnable'
        WHERE t.job_id = job.job_id AND t.status = 'blocked'
          AND NOT EXISTS (
              SELECT FROM pg_dist_background_task_depend d
                  JOIN pg_dist_background_task p ON p.job_id = d.job_id AND p.task_id = d.depends_on
              WHERE d.job_id = t.job_id AND d.task_id = t.task_id AND p.status <> 'done');

        SELECT count(*) AS number,
            count(*) FILTER (WHERE t.status IN ('blocked', 'runnable', 'running', 'cancelling')) AS open,
            count(*) FILTER (WHERE t.status = 'error') AS failed,
            count(*) FILTER (WHERE t.status = 'cancelled') AS cancelled
        INTO tasks
        FROM pg_dist_background_task t WHERE t.job_id = job.job_id;
        -- Its tasks come in a later transaction.
        CONTINUE WHEN tasks.number = 0;
        new_state := CASE
            WHEN job.state = 'cancelling' AND tasks.open > 0 THEN 'cancelling'
            WHEN job.state = 'cancelling' THEN 'cancelled'
            WHEN tasks.failed > 0 AND tasks.open > 0 THEN 'failing'
            WHEN tasks.failed > 0 THEN 'failed'
            WHEN tasks.open > 0 THEN job.state::text
            WHEN tasks.cancelled > 0 THEN 'cancelled'
            ELSE 'finished' END;
        UPDATE pg_dist_background_job j
        SET state = new_state, finished_at = CASE WHEN tasks.open = 0 THEN clock_timestamp() END
        WHERE j.job_id = job.job_id AND j.state <> new_state;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.settle_jobs() FROM PUBLIC;

-- Makes tasks that may start now `running`: at most max_total at a time, at most max_per_node for each node.
CREATE FUNCTION citus_internal.start_tasks(max_total integer, max_per_node integer)
    RETURNS TABLE (task_id bigint, owner regrole)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    jobs bigint[];
    task record;
    running integer;
BEGIN
    SELECT array_agg(j.job_id) INTO jobs
    FROM (SELECT j.job_id FROM pg_dist_background_job j
          WHERE j.state IN ('scheduled', 'running', 'failing')
          FOR UPDATE SKIP LOCKED) j;
    SELECT count(*) INTO running FROM pg_dist_background_task t WHERE t.status IN ('running', 'cancelling');
    FOR task IN
        SELECT t.task_id, t.job_id, t.owner, t.nodes_involved
        FROM pg_dist_background_task t
        WHERE t.status = 'runnable' AND t.job_id = ANY (jobs)
          AND (t.not_before IS NULL OR t.not_before <= clock_timestamp())
        ORDER BY t.task_id
    LOOP
        EXIT WHEN running >= max_total;
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(task.nodes_involved) node
            WHERE max_per_node <= (
                SELECT count(*) FROM pg_dist_background_task r
                WHERE r.status IN ('running', 'cancelling') AND node = ANY (r.nodes_involved)));
        -- Until the task has ended not_before says which start of this server it began after: see interrupt_task().
        UPDATE pg_dist_background_task t SET status = 'running', pid = NULL, not_before = pg_postmaster_start_time()
        WHERE t.task_id = task.task_id;
        UPDATE pg_dist_background_job j
        SET state = CASE j.state WHEN 'scheduled' THEN 'running' ELSE j.state END,
            started_at = coalesce(j.started_at, clock_timestamp())
        WHERE j.job_id = task.job_id AND (j.state = 'scheduled' OR j.started_at IS NULL);
        running := running + 1;
        task_id := task.task_id;
        owner := task.owner;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION citus_internal.start_tasks(integer, integer) FROM PUBLIC;
