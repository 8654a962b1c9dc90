-- The functions of a store: most calls of Store are one call of one of them, and one round trip. They are kept in the
-- schema so that no connection has a state that PgBouncer would lose, and nothing is planned again. Plans are forced to
-- use the indexes: statistics of a queue are wrong as soon as they are made. What a plan may not use has a price that
-- makes the server compile it, for hundreds of milliseconds, unless jit is off.
--
-- Locks, in the order in which they are taken, so that calls do not wait for each other in a circle:
--   enqueue: the revision, keys by name, items by ID, and then those that it replaces; remove: keys by name, items by seq
--   settle:  items by seq, busy by name with one parked item each
--   lease:   items that nobody has locked, busy by name, once
--   reap:    items that nobody has locked, and then as settle; mend: items that nobody has locked

-- enqueue stores items, of which it gets the fields as arrays; those after maxfails are NULL if they are empty in all. It
-- returns became and holders, of each item, unless all were inserted; and another rev if p_rev is not that of the bindings.
CREATE FUNCTION {s}.enqueue(
	p_rev bigint, p_ids text[], p_queues text[], p_names text[], p_payloads bytea[], p_priorities smallint[], p_maxfails int[],
	p_tids text[], p_parents text[], p_headers text[], p_dues timestamptz[], p_delays bigint[], p_serials text[],
	p_keys text[], p_scopes smallint[], p_holds bigint[], p_replaces boolean[],
	OUT now timestamptz, OUT rev bigint, OUT became smallint[], OUT holders text[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
	v_given    record;
	v_key      {s}.keys;
	v_holder   {s}.items;
	v_inserted text[];
	v_found    boolean;
	v_status   smallint;
	v_id       text;
BEGIN
	now := {now};
	IF p_rev IS NOT NULL THEN
		PERFORM pg_advisory_xact_lock_shared({lock}, hashtext('{s}'));
		SELECT m.rev INTO rev FROM {s}.meta m;
		IF rev <> p_rev THEN
			RETURN;
		END IF;
	END IF;
	IF p_keys IS NULL AND cardinality(p_ids) = 1 THEN
		INSERT INTO {s}.items (seq, id, queue, name, payload, priority, maxfails, tid, parent, headers, due, created, serial)
		VALUES (nextval('{s}.seq'), p_ids[1], p_queues[1], p_names[1], p_payloads[1], p_priorities[1], p_maxfails[1],
			nullif(p_tids[1], ''), nullif(p_parents[1], ''), nullif(p_headers[1], ''),
			coalesce(p_dues[1], now + coalesce(p_delays[1], 0) * interval '1 microsecond'), now, nullif(p_serials[1], ''))
		ON CONFLICT (id) DO NOTHING;
		IF NOT FOUND THEN
			became := '{1}';
			holders := p_ids;
		END IF;
		RETURN;
	END IF;
	IF p_keys IS NULL THEN
		-- Numbers are in the order of the call, rows are inserted by ID.
		WITH given AS (
			SELECT nextval('{s}.seq') AS seq, u.*
			FROM unnest(p_ids, p_queues, p_names, p_payloads, p_priorities, p_maxfails, p_tids, p_parents, p_headers, p_dues, p_delays, p_serials)
				AS u(id, queue, name, payload, priority, maxfails, tid, parent, headers, due, delay, serial)
			OFFSET 0
		), inserted AS (
			INSERT INTO {s}.items (seq, id, queue, name, payload, priority, maxfails, tid, parent, headers, due, created, serial)
			SELECT seq, id, queue, name, payload, priority, maxfails, nullif(tid, ''), nullif(parent, ''), nullif(headers, ''),
				coalesce(due, now + coalesce(delay, 0) * interval '1 microsecond'), now, nullif(serial, '')
			FROM given ORDER BY id COLLATE "C", seq
			ON CONFLICT (id) DO NOTHING
			RETURNING id
		)
		SELECT array_agg(id) INTO v_inserted FROM inserted;
		IF coalesce(cardinality(v_inserted), 0) < cardinality(p_ids) THEN
			holders := p_ids;
			SELECT array_agg((CASE WHEN first AND id IN (SELECT unnest(v_inserted)) THEN 0 ELSE 1 END)::smallint ORDER BY ord)
			INTO became
			FROM (SELECT id, ord, row_number() OVER (PARTITION BY id ORDER BY ord) = 1 AS first
				FROM unnest(p_ids) WITH ORDINALITY AS u(id, ord)) AS t;
		END IF;
		RETURN;
	END IF;

	-- To insert a row or to lock the one that is there. A row without seq is nobody's.
	INSERT INTO {s}.keys (queue, key)
	SELECT DISTINCT queue COLLATE "C", key COLLATE "C" FROM unnest(p_queues, p_keys) AS u(queue, key) WHERE key <> '' ORDER BY 1, 2
	ON CONFLICT (queue, key) DO UPDATE SET key = excluded.key WHERE false;
	-- All rows are inserted first, by ID: what is taken in the order of the call another call has in another order. But
	-- not those whose key is held: nobody else can take or free it now, but for the item that holds it.
	FOR v_given IN
		WITH given AS (
			SELECT nextval('{s}.seq') AS seq, u.*
			FROM unnest(p_ids, p_queues, p_names, p_payloads, p_priorities, p_maxfails, p_tids, p_parents, p_headers, p_dues, p_delays, p_serials, p_keys, p_scopes, p_holds, p_replaces)
				WITH ORDINALITY AS u(id, queue, name, payload, priority, maxfails, tid, parent, headers, due, delay, serial, key, scope, hold, replace, ord)
			OFFSET 0
		), judged AS (
			SELECT given.*, coalesce(due, now + coalesce(delay, 0) * interval '1 microsecond') AS due_at, EXISTS (
				SELECT FROM {s}.keys k LEFT JOIN {s}.items i ON i.seq = k.seq
				WHERE k.queue = given.queue AND k.key = given.key AND (k.until > now OR i.holds)) AS held
			FROM given
		), numbered AS (
			SELECT judged.*, row_number() OVER (PARTITION BY id ORDER BY ord) AS nth FROM judged
		), inserted AS (
			INSERT INTO {s}.items (seq, id, queue, name, payload, priority, maxfails, tid, parent, headers, due, created, serial, key, scope, holds)
			SELECT seq, id, queue, name, payload, priority, maxfails, nullif(tid, ''), nullif(parent, ''), nullif(headers, ''), due_at, now,
				nullif(serial, ''), nullif(key, ''), scope, key <> ''
			FROM numbered WHERE nth = 1 AND NOT held ORDER BY id COLLATE "C"
			ON CONFLICT (id) DO NOTHING
			RETURNING seq
		)
		SELECT numbered.*, inserted.seq IS NOT NULL AS inserted FROM numbered LEFT JOIN inserted USING (seq) ORDER BY ord
	LOOP
		v_status := 0;
		v_id := v_given.id;
		IF NOT v_given.inserted AND EXISTS (SELECT FROM {s}.items WHERE id = v_given.id) THEN
			v_status := 1;
		ELSIF v_given.key <> '' THEN
			SELECT * INTO v_key FROM {s}.keys WHERE queue = v_given.queue AND key = v_given.key;
			SELECT * INTO v_holder FROM {s}.items WHERE seq = v_key.seq;
			v_found := FOUND;
			IF v_given.held OR v_key.until > now OR v_found AND v_holder.holds THEN
				v_status := 1;
				v_id := v_key.id;
				IF v_given.inserted THEN -- an earlier one of this call has the key
					DELETE FROM {s}.items WHERE seq = v_given.seq;
				END IF;
				IF v_given.replace AND v_found AND v_holder.state IN (0, 3) THEN
					UPDATE {s}.items SET payload = v_given.payload, headers = nullif(v_given.headers, ''), due = v_given.due_at, state = 0
					WHERE seq = v_key.seq AND state IN (0, 3);
					IF FOUND THEN
						v_status := 2;
						-- It may have been the one of its serial that was not parked.
						IF v_holder.serial IS NOT NULL THEN
							PERFORM {s}.unpark(v_holder.queue, v_holder.serial);
						END IF;
					END IF;
				END IF;
			END IF;
		END IF;
		IF v_status = 0 AND NOT v_given.inserted THEN -- an earlier one of this call had the same ID, and a key that was held
			INSERT INTO {s}.items (seq, id, queue, name, payload, priority, maxfails, tid, parent, headers, due, created, serial, key, scope, holds)
			VALUES (v_given.seq, v_given.id, v_given.queue, v_given.name, v_given.payload, v_given.priority, v_given.maxfails,
				nullif(v_given.tid, ''), nullif(v_given.parent, ''), nullif(v_given.headers, ''), v_given.due_at, now, nullif(v_given.serial, ''),
				nullif(v_given.key, ''), v_given.scope, v_given.key <> '')
			ON CONFLICT (id) DO NOTHING;
			IF NOT FOUND THEN
				v_status := 1;
			END IF;
		END IF;
		IF v_status = 0 AND v_given.key <> '' THEN
			UPDATE {s}.keys SET seq = v_given.seq, id = v_given.id, until = now + v_given.hold * interval '1 microsecond', forget = NULL
			WHERE queue = v_given.queue AND key = v_given.key;
		END IF;
		became := became || v_status;
		holders := holders || v_id;
	END LOOP;
	DELETE FROM {s}.keys k USING unnest(p_queues, p_keys) AS u(queue, key) WHERE k.queue = u.queue AND k.key = u.key AND k.seq IS NULL;
	-- Each call takes away more than it leaves behind.
	DELETE FROM {s}.keys WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM {s}.keys WHERE forget <= now ORDER BY forget LIMIT 2 * cardinality(p_ids) FOR UPDATE SKIP LOCKED));
END $$;
