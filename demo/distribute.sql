-- Spreads the demo's tables: packages and their dependencies by package name, so that a package and
-- its dependencies live on one node and join there; the two small tables on every node.
SELECT create_reference_table('sections');
SELECT create_reference_table('maintainers');
SELECT create_distributed_table('packages', 'name');
SELECT create_distributed_table('dependencies', 'package', colocate_with => 'packages');
