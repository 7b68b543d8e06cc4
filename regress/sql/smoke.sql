-- The extension is there, on every node, and is the version that the library says.
SELECT extname, extversion, extnamespace::regnamespace FROM pg_extension WHERE extname = 'citus';
SHOW shared_preload_libraries;
-- Two-phase commit needs prepared transactions: a server that allows none gets twice its connections.
SELECT current_setting('max_prepared_transactions')::int
	= 2 * current_setting('max_connections')::int AS prepared_transactions_are_possible;
-- Only once per database.
CREATE EXTENSION citus;
