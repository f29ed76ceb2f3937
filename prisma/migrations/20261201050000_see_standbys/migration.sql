-- Each process reads whether commits may be lost, and for that it must see the mode of the standbys. Where the
-- processes have another role than the migrations, or this role may not grant it, their log says what to run.
DO $$
BEGIN
  IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
    EXECUTE format('GRANT pg_read_all_stats TO %I', current_user);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'this role cannot see the standbys: as a superuser, GRANT pg_read_all_stats TO %', quote_ident(current_user);
END $$;
