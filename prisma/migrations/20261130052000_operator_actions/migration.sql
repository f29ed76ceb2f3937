-- The actions of operators: who, why, and with which outcome.
CREATE TABLE operator_actions (
  id uuid NOT NULL,
  at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  reason text NOT NULL,
  action text NOT NULL,
  subject_id uuid,
  outcome text,
  CONSTRAINT operator_actions_pkey PRIMARY KEY (id),
  CONSTRAINT operator_actions_says_who_and_why CHECK (btrim(actor) <> '' AND btrim(reason) <> '')
);
COMMENT ON TABLE operator_actions IS
  'Each action of an operator, written before it is done. What a merchant may see of it stands in the history.';
COMMENT ON COLUMN operator_actions.subject_id IS
  'The payment, refund, message or run that the action is about. Null: it is about several.';
COMMENT ON COLUMN operator_actions.outcome IS 'The output of the command. Null: the command did not end.';
COMMENT ON CONSTRAINT operator_actions_says_who_and_why ON operator_actions IS
  'An action names the person and the reason.';

CREATE INDEX operator_actions_subject_id_idx ON operator_actions (subject_id, id);
COMMENT ON INDEX operator_actions_subject_id_idx IS 'Lists what operators did about one payment, refund or message.';

CREATE FUNCTION operator_actions_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Only the outcome is written later, once.
  IF TG_OP = 'UPDATE' AND OLD.outcome IS NULL
     AND (NEW.id, NEW.at, NEW.actor, NEW.reason, NEW.action, NEW.subject_id)
         IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.actor, OLD.reason, OLD.action, OLD.subject_id) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'an operator''s action is never rewritten'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'operator_actions_are_kept';
END $$;
CREATE TRIGGER operator_actions_are_kept BEFORE DELETE OR UPDATE ON operator_actions FOR EACH ROW
  EXECUTE FUNCTION operator_actions_are_kept();
COMMENT ON TRIGGER operator_actions_are_kept ON operator_actions IS 'An action is never rewritten, and ends once.';
CREATE TRIGGER operator_actions_never_emptied BEFORE TRUNCATE ON operator_actions FOR EACH STATEMENT
  EXECUTE FUNCTION append_only();
COMMENT ON TRIGGER operator_actions_never_emptied ON operator_actions IS 'No action is ever lost.';
