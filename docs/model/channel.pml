/*
 * One name: subscribers create its log, join, leave and close it while senders send. See README.md.
 *
 * Server.mu is the lock mu. Whoever holds it takes one step for each store that a sender can see
 * without it (to names, live and patterns) and one for what happens under a log's gate; the rest is
 * part of the step before or after.
 *
 *	-DDECLARED  the name is declared, and sent to by its handle (Channel.Send)
 *	otherwise   it is not, and is sent to by name (SendEvent)
 *
 * One of these breaks it: -DORIG -DREAP -DNORETRY -DNILQUITS -DLATETAKE
 */
#ifndef SUBS
#define SUBS	3
#endif

/* The registry. Topics and logs have numbers; those that nobody holds any more are used again. A name
 * that is not declared gets a new topic with each log, of the same number. */
#define NUMBERS	6
bit mu;
byte names;		/* the topic of the name, 0 if there is none */
byte live[NUMBERS];	/* a topic's log, 0 if it has none */
bit patterns;		/* there is a pattern that matches the name */

/* Logs. */
bit closed[NUMBERS];
byte readers[NUMBERS];	/* cursors */
bit forwards[NUMBERS];	/* there is one, to the ring of the pattern's mailbox */
byte alive;		/* logs that are not closed */

/* One subscription and one send are watched. Which ones is left open, so what holds for them holds for
 * all. A send that is not watched matters only by the log that it may open. */
bit chosen;		/* the subscription has been chosen… */
byte home;		/* …and this is the log with its cursor, closed or not… */
bit tap;		/* …or it is the pattern's */
bit on;			/* subscribe has returned, and leave has not got to work */
bit cur;		/* its mailbox knows the cursor */
bit gone;		/* the cursor is closed */
bit left;		/* leave has returned */
bit due;		/* it was on when the send began */
bit has;		/* the event has arrived */
bit unread;		/* it can be received */
byte t, l;		/* the topic and the log that the send has found */

byte here;		/* subscribers that will still come or go */

inline lock()   { !mu -> mu = 1 }
inline unlock() { mu = 0 }

/* A number for a log, and for the topic of a name that is not declared. */
inline number() {
	new = 1;
	do
	:: new == names || new == live[names] || new == t || new == l -> new++
	:: else -> break
	od
}

/* topicLocked and openLocked, if the name has no log. A topic is live before it can be found. */
inline open() {
	if
	:: live[names] == 0 ->
		d_step {
			number();
			closed[new] = 0;
			forwards[new] = patterns;
			alive++;
			assert(alive == 1);	/* at most one live log */
#ifdef DECLARED
			live[names] = new
#else
			live[new] = new
#endif
		}
#ifndef DECLARED
		names = new;
#endif
		new = 0
	:: else
	fi
}

/* closeLogLocked */
inline close() {
	assert(!closed[log] && readers[log] == 0);	/* nobody is left behind in a dead log */
	live[names] = 0;
	d_step { closed[log] = 1; forwards[log] = 0; alive-- }
#ifndef DECLARED
	names = 0
#endif
}

/* A subscriber comes and goes, as often as it likes. */
proctype Sub(byte i)
{
	byte log, new;
	bit mine, last;

	do
	:: true ->
		atomic { lock() }
#ifdef ORIG
		d_step { log = live[names]; unlock() }
		atomic { lock() }
		if :: log == 0 -> open(); log = live[names] :: else fi;
		unlock();
		atomic { lock() }
#else
		open();
#endif
		atomic {			/* join, and subscribe returns */
#ifndef ORIG
			log = live[names];
#endif
			assert(!closed[log]);	/* never join a dead log */
			readers[log]++;
			if			/* they are all alike: watching the first is enough */
			:: i == 0 && !chosen -> chosen = 1; mine = 1; home = log; cur = 1; on = 1
			:: true
			fi;
			unlock()
		}

		atomic { lock(); if :: mine -> on = 0; cur = 0 :: else fi }	/* leave has begun */
		d_step {
			readers[log]--;
			last = readers[log] == 0 && !forwards[log];
			if :: mine -> gone = 1 :: else fi
		}
#ifdef REAP
		unlock();
		atomic { lock() }
#endif
		if :: last -> close() :: else fi;
		d_step {			/* leave returns */
			if :: mine -> left = 1 :: else fi;
			unlock();
			log = 0; mine = 0; last = 0
		}
	:: break
	od;
	here--
}

/* The same by pattern. */
proctype Tap()
{
	byte log, new;
	bit mine;

	do
	:: true ->
		atomic { lock(); patterns = 1 }
		if :: names != 0 -> open(); forwards[live[names]] = 1 :: else fi;
		atomic {
			if :: !chosen -> chosen = 1; mine = 1; tap = 1; on = 1 :: true fi;
			unlock()
		}

		atomic { lock(); log = live[names]; if :: mine -> on = 0 :: else fi }
		if :: log != 0 -> forwards[log] = 0 :: else fi;
		if :: log != 0 && readers[log] == 0 -> close() :: else fi;
		d_step { if :: mine -> tap = 0; unread = 0 :: else fi };	/* ring.purge */
		patterns = 0;
		d_step {
			if :: mine -> left = 1 :: else fi;
			unlock();
			log = 0; mine = 0
		}
	:: break
	od;
	here--
}

/* Receive on the mailbox that is watched: find the cursor or the ring, and take what there is. */
proctype Reader()
{
end:	cur || tap;
	do
	:: atomic {
#ifdef LATETAKE
		unread ->
#else
		unread && !gone ->
#endif
		unread = 0;
		assert(!left)			/* P4: nothing is received after leave has returned */
	   }
	:: left -> break
	od
}

/* send on log l, under its gate: ok says whether the log took the event. */
inline append() {
	d_step {
		ok = !closed[l];
		if
		:: ok && (tap && forwards[l] || !tap && home == l && !gone) ->
			assert(!has);		/* P1: not more than once… */
			has = 1;
			unread = 1
		:: else
		fi
	}
}

/* The send that is watched. */
proctype Send()
{
	byte new;
	bit ok;

	due = on;
#ifdef DECLARED
	l = live[names];
	if :: l != 0 -> append() :: else fi;
#else
look:	t = names;
	if
	:: t == 0 ->
		if :: !patterns -> goto sent :: else fi;
		atomic { lock(); if :: !patterns -> unlock(); goto sent :: else fi }	/* discover */
		open();
		d_step { t = names; unlock() }
	:: else
	fi;
	l = live[t];
	if
	:: l != 0 ->
		append();
#ifdef NORETRY
		goto sent;
#endif
		if :: ok -> goto sent :: else fi
	:: else ->
#ifdef NILQUITS
		goto sent
#else
		skip
#endif
	fi;
	d_step { t = 0; l = 0 }
	goto look;
sent:
#endif
	atomic {
		assert(!due || !on || has);	/* …and not less */
		t = 0; l = 0; due = 0
	}
}

/* All other sends, as far as they matter: they call discover… */
proctype Sends()
{
	byte new;

end:	do
	:: atomic { patterns && names == 0 && !mu -> lock() }
		open();
		unlock()
	od
}

/* …which forgets names that only patterns listen to. */
proctype Reaper()
{
	byte log;

end:	do
	:: atomic { live[names] != 0 && readers[live[names]] == 0 && !mu -> lock(); log = live[names] }
		close();
		d_step { unlock(); log = 0 }
	od
}

init
{
	byte i;

	atomic {
		here = SUBS + 1;
		run Tap();
		do :: i < SUBS -> run Sub(i); i++ :: else -> break od;
		run Reader();
		run Send();
#ifdef DECLARED
		names = 1
#else
		run Sends();
		run Reaper()
#endif
	}
	atomic { here == 0 && !mu -> assert(alive == 0 && live[names] == 0) }	/* no log outlives its subscribers */
}
