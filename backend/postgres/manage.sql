-- For people, and what they bind. See enqueue.sql for how functions are written.

-- remove removes items that are not leased, in the order of seq, and returns how many.
CREATE FUNCTION {s}.remove(p_seqs bigint[]) RETURNS int
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_gone record;
	v_n    int := 0;
BEGIN
	PERFORM FROM {s}.keys k, {s}.items i
	WHERE i.seq = ANY (p_seqs) AND i.key IS NOT NULL AND k.queue = i.queue AND k.key = i.key AND k.seq = i.seq
	ORDER BY k.queue, k.key FOR UPDATE OF k;
	PERFORM FROM {s}.items WHERE seq = ANY (p_seqs) AND state <> 1 ORDER BY seq FOR UPDATE;
	FOR v_gone IN DELETE FROM {s}.items WHERE seq = ANY (p_seqs) AND state <> 1 RETURNING seq, queue, key, serial LOOP
		v_n := v_n + 1;
		IF v_gone.key IS NOT NULL THEN
			DELETE FROM {s}.keys WHERE queue = v_gone.queue AND key = v_gone.key AND seq = v_gone.seq;
		END IF;
		-- It may have been the one of its serial that was not parked.
		IF v_gone.serial IS NOT NULL THEN
			PERFORM {s}.unpark(v_gone.queue, v_gone.serial);
		END IF;
	END LOOP;
	RETURN v_n;
END $$;

-- redrive makes dead and waiting items due, and returns how many and in which queues.
CREATE FUNCTION {s}.redrive(p_seqs bigint[], OUT n int, OUT queues text[])
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := {now};
BEGIN
	PERFORM FROM {s}.items WHERE seq = ANY (p_seqs) ORDER BY seq FOR UPDATE;
	WITH changed AS (
		UPDATE {s}.items SET fails = CASE WHEN state = 2 THEN 0 ELSE fails END, state = 0, due = v_now, until = NULL
		WHERE seq = ANY (p_seqs) AND (state = 2 OR state = 0 AND due > v_now)
		RETURNING queue
	)
	SELECT count(*), array_agg(DISTINCT queue) INTO n, queues FROM changed;
END $$;

-- bind adds bindings, removes others then, and returns the revision.
CREATE FUNCTION {s}.bind(p_queues text[], p_kinds text[], p_texts text[], r_queues text[], r_kinds text[], r_texts text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	v_n   int;
	v_m   int;
	v_rev bigint;
BEGIN
	PERFORM pg_advisory_xact_lock({lock}, hashtext('{s}'));
	INSERT INTO {s}.bindings SELECT a.* FROM unnest(p_queues, p_kinds, p_texts) AS a(queue, kind, text)
	WHERE NOT EXISTS (SELECT FROM unnest(r_queues, r_kinds, r_texts) AS r(queue, kind, text) WHERE r.queue = a.queue AND r.kind = a.kind AND r.text = a.text)
	ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS v_n = ROW_COUNT;
	DELETE FROM {s}.bindings b USING unnest(r_queues, r_kinds, r_texts) AS r(queue, kind, text)
	WHERE b.queue = r.queue AND b.kind = r.kind AND b.text = r.text;
	GET DIAGNOSTICS v_m = ROW_COUNT;
	IF v_n + v_m > 0 THEN
		UPDATE {s}.meta SET rev = rev + 1;
	END IF;
	SELECT rev INTO v_rev FROM {s}.meta;
	RETURN v_rev;
END $$;
