/*
 * One name: subscribers create its log, join, leave and close it, while senders send. See README.md.
 *
 * A step here is what is atomic in the code: one load or store of a word that is read without a
 * lock, or all that happens under one gate. Server.mu is a lock of its own (mu) and its holder takes
 * several steps, because senders look while it works.
 *
 *	-DDECLARED  the name is declared, and sent to by its handle (Channel.Send)
 *	otherwise   it is not, and is sent to by name (SendEvent); a pattern matches it
 *
 * One of these breaks it: -DORIG -DREAP -DNORETRY -DNILQUITS -DLATETAKE
 */
#ifndef SUBS
#define SUBS	3
#endif
#ifndef ROUNDS
#define ROUNDS	2	/* each subscriber comes and goes so often */
#endif
#define SENDERS	2
#define SENDS	2	/* each */
#define REAPS	1	/* a name that only patterns listen to is forgotten so often */

#define LOGS	10	/* enough: checked where one opens */

/* The registry. Topics are numbered from 1, and so are logs. Without a declaration a topic has one log
 * in its life, of the same number. */
bit mu;
byte names;		/* the topic of the name, 0 if there is none */
byte live[LOGS];	/* a topic's log, 0 if it has none */
bit patterns;		/* there is a pattern, and it matches */

/* Logs. */
byte logs;		/* opened so far */
byte alive;		/* open now */
bit closed[LOGS];
byte readers[LOGS];	/* cursors */
bit forwards[LOGS];	/* there is one, to the pattern's ring */

/* One subscription and one event are watched. Which ones is left open, so whatever holds for them
 * holds for all. */
bit chosen;		/* the subscription has been chosen… */
bit begun;		/* …and the event */
bit byName, byPattern;	/* what kind of subscription it is */
byte home;		/* the log with its cursor */
bit on;			/* subscribe has returned, and leave has not been called */
bit due;		/* that was so when the send began */
bit has;		/* the event has arrived */
bit cur;		/* its mailbox knows the cursor */
bit unread;		/* the event waits there to be read */
bit gone;		/* the cursor is closed */
bit left;		/* leave has returned */

/* Processes of a kind are alike: let them be numbered in the order in which they begin. */
byte subs, senders;

inline lock()   { atomic { !mu -> mu = 1 } }
inline unlock() { mu = 0 }

/* openLocked: topic t gets a log. */
inline open(t) {
	d_step {
		logs++;
		assert(logs < LOGS);
		alive++;
		assert(alive == 1);		/* at most one live log */
		forwards[logs] = patterns
	}
	live[t] = logs
}

/* closeLogLocked: log l ends. */
inline close(l) {
	live[names] = 0;
	d_step { closed[l] = 1; forwards[l] = 0; alive-- }
#ifndef DECLARED
	names = 0
#endif
}

/* topicLocked, if the name has no topic. */
inline topic(t) {
	t = names;
	if
	:: t == 0 -> t = logs + 1; names = t
	:: else
	fi
}

proctype Sub(byte i)
{
	byte round, t, l;
	bit mine, last;

	do
	:: round < ROUNDS ->
		atomic {
			!mu && subs >= i -> mu = 1;
			if :: subs == i -> subs++ :: else fi;
			round++
		}
#ifdef ORIG
		t = names;
		l = live[t];
		unlock();
		if
		:: l == 0 ->
			lock();
			topic(t);
			if :: live[t] == 0 -> open(t) :: else fi;
			l = live[t];
			unlock()
		:: else
		fi;
		lock();
#else
		topic(t);
		if :: live[t] == 0 -> open(t) :: else fi;
		l = live[t];
#endif
		atomic {				/* join */
			assert(!closed[l]);		/* never join a dead log */
			readers[l]++;
			if
			:: !chosen -> chosen = 1; byName = 1; home = l; cur = 1; mine = 1
			:: true
			fi
		}
		d_step { unlock(); if :: mine -> on = 1 :: else fi }

		atomic {				/* leave is called */
			!mu -> mu = 1;
			if :: mine -> on = 0; cur = 0 :: else fi
		}
		d_step {				/* cursor.leave */
			readers[l]--;
			if :: mine -> home = 0; gone = 1 :: else fi;
			last = readers[l] == 0 && !forwards[l];
			t = 0
		}
#ifdef REAP
		unlock();
		lock();
#endif
		if :: last -> close(l) :: else fi;
		d_step {				/* leave returns */
			unlock();
			if :: mine -> left = 1 :: else fi;
			l = 0; last = 0; mine = 0
		}
	:: else -> break
	od
}

/* Receive: find the mailbox's cursor, then, under its gate, take what there is. */
proctype Reader()
{
end:	cur;
	do
#ifdef LATETAKE
	:: atomic { unread -> unread = 0; assert(!left) }
#else
	:: atomic { unread && !gone -> unread = 0; assert(!left) }	/* P4: nothing after leave */
#endif
	:: left -> break
	od
}

/* subscribePattern, and the end of that subscription. */
proctype Tap()
{
	byte l;
	bit mine;

	lock();
	patterns = 1;
	if
	:: names != 0 ->
		if :: live[names] == 0 -> open(names) :: else fi;
		forwards[live[names]] = 1
	:: else
	fi;
	atomic {
		unlock();
		if
		:: !chosen -> chosen = 1; byPattern = 1; on = 1; mine = 1
		:: true
		fi
	}

	atomic {				/* leave is called */
		!mu -> mu = 1;
		on = on && !mine
	}
	if
	:: names != 0 ->
		l = live[names];
		forwards[l] = 0;
		if :: readers[l] == 0 -> close(l) :: else fi
	:: else
	fi;
	patterns = 0;
	unlock()
}

#ifndef DECLARED
/* The part of discover that forgets names which only patterns listen to. */
proctype Reaper()
{
	byte n, l;

	do
	:: n < REAPS ->
		n++;
		lock();
		l = live[names];
		if
		:: l != 0 && readers[l] == 0 -> close(l)
		:: else
		fi;
		d_step { unlock(); l = 0 }
	:: else -> break
	od
}
#endif

/* sendSlow on log l, under its gate: ok says that the log took the event. */
inline append(l) {
	d_step {
		ok = !closed[l];
		if
		:: ok && mine && (home == l || byPattern && forwards[l]) ->
			assert(!has);		/* P1: not more than once */
			has = 1;
			unread = byName
		:: else
		fi
	}
}

proctype Sender(byte i)
{
	byte n, t, l;
	bit mine, ok;

	do
	:: n < SENDS ->
		atomic {			/* the send begins */
			senders >= i ->
			if :: senders == i -> senders++ :: else fi;
			n++;
			if
			:: !begun -> begun = 1; mine = 1; due = on
			:: true
			fi
		}
#ifdef DECLARED
		l = live[1];
		if :: l != 0 -> append(l) :: else fi;
#else
		t = names;
look:		if
		:: t != 0 -> l = live[t]
		:: else
		fi;
		if
		:: l != 0 ->
			append(l);
#ifdef NORETRY
			goto sent;
#endif
			if :: ok -> goto sent :: else fi
		:: else
#ifdef NILQUITS
			if :: t != 0 -> goto sent :: else fi
#endif
		fi;
		d_step { t = 0; l = 0 }
		/* Nobody listens, or the log is just being opened, or has been closed. That makes a
		 * difference only to a pattern: have discover find out. */
		if :: !patterns -> goto sent :: else fi;
		lock();
		if :: !patterns -> unlock(); goto sent :: else fi;
		topic(t);
		if :: live[t] == 0 -> open(t) :: else fi;
		unlock();
		goto look;
sent:
#endif
		atomic {			/* the send ends */
			assert(!(mine && due && on) || has);	/* P1: not less than once */
			t = 0; l = 0; ok = 0;
			if :: mine -> mine = 0; due = 0 :: else fi
		}
	:: else -> break
	od
}

init
{
	byte i;

	atomic {
		run Reader();
#ifdef DECLARED
		names = 1;
#else
		run Reaper();
#endif
		run Tap();
		i = 0; do :: i < SUBS -> run Sub(i); i++ :: else -> break od;
		i = 0; do :: i < SENDERS -> run Sender(i); i++ :: else -> break od
	}
	_nr_pr <= 2;				/* the Reader may wait for ever, if another is watched */
	assert(alive == 0 && live[names] == 0 && !mu)	/* everybody has left: no live log */
}
