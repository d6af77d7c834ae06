/*
 * What is done on the server: a script for each request, so that nobody comes
 * between its steps. They touch the keys that they are given.
 *
 * Of a delivery: KEYS entry, nodes, pair; ARGV owner, lease and greatest age
 * (ms), member of the pair; then how long it is kept (ms), a sealed value, and
 * one that does not count.
 */
#include "daemon/shared_state.h"

/* The server's time; a key of ours that is no such thing is none. */
#define BEGIN \
	"local now=redis.call('TIME') " \
	"now=now[1]*1000+math.floor(now[2]/1000) " \
	"local function int(x) return string.format('%.0f',x) end " \
	"local function fit(k,w) local t=redis.call('TYPE',k) " \
	"t=t.ok or t if t~=w and t~='none' then redis.call('DEL',k) end end "

/* An owner lives while the lease of its node does; a claim is forgotten after
 * some hours whatever it says. */
#define ENTRY BEGIN \
	"local E,N,P=KEYS[1],KEYS[2],KEYS[3] " \
	"fit(E,'hash') fit(N,'hash') fit(P,'zset') " \
	"local me,lease,age,member=ARGV[1],tonumber(ARGV[2])," \
	"tonumber(ARGV[3]),ARGV[4] " \
	"local r=redis.call('HMGET',E,'v','o','t','c','f') " \
	"local v,o,ttl,c,first=r[1],r[2],tonumber(r[3] or '')," \
	"tonumber(r[4] or ''),r[5] " \
	"if not ttl or ttl<1000 or ttl>age then ttl=age end " \
	"local delivered=v and string.sub(v,17,17)=='D' " \
	"local function alive() if not o then return false end " \
	"local u=tonumber(redis.call('HGET',N,string.sub(o,1,32)) or '') " \
	"return u and u>now and u<=now+2*lease and c and c<=now+lease and " \
	"c>now-14400000 end " \
	"local function live_on() " \
	"redis.call('PEXPIRE',E,int(ttl)) " \
	"redis.call('ZADD',P,int(now+ttl),member) " \
	"redis.call('ZREMRANGEBYSCORE',P,'-inf',int(now)) " \
	"if redis.call('PTTL',P)<ttl then " \
	"redis.call('PEXPIRE',P,int(ttl)) end end " \
	"local function keep(value) " \
	"ttl=tonumber(ARGV[5]) " \
	"redis.call('HSET',E,'v',value,'t',int(ttl)) end " \
	"local function own() redis.call('HSET',E,'o',me,'c',int(now)) end " \
	"local function disown() redis.call('HDEL',E,'o','c','f') end " \
	"local function remove() redis.call('DEL',E) " \
	"redis.call('ZREM',P,member) end "

const struct redis_script shared_own_scripts[SHARED_OWN_SCRIPTS] = {
	[SHARED_LOOK] = {"look", BEGIN
	    "fit(KEYS[1],'zset') "
	    "return redis.call('ZCOUNT',KEYS[1],int(now),'+inf')"},
	[SHARED_CLAIM] = {"claim", ENTRY
	    "if v and v==ARGV[7] then redis.call('DEL',E) "
	    "v=false o=false delivered=false end "
	    "if alive() then return {'B',''} end "
	    "if not v then keep(ARGV[6]) end "
	    "live_on() "
	    "if delivered then return {'D',v} end "
	    "own() "
	    "if v then redis.call('HDEL',E,'f') return {'T',v} end "
	    "redis.call('HSET',E,'f','1') return {'N',''}"},
	/* of a keeper of the same machine that is gone: it holds on */
	[SHARED_HOLD] = {"hold", ENTRY
	    "local held=alive() "
	    "if delivered or held and (string.sub(o,1,16)~="
	    "string.sub(me,1,16) or string.sub(o,1,32)==string.sub(me,1,32)) "
	    "then return 0 end "
	    "if not v then keep(ARGV[6]) redis.call('HSET',E,'f','1') "
	    "elseif not held then redis.call('HDEL',E,'f') end "
	    "live_on() own() return 1"},
	[SHARED_DELIVERED] = {"delivered", ENTRY
	    "if o==me or not alive() then disown() "
	    "else redis.call('HDEL',E,'f') end "
	    "keep(ARGV[6]) live_on() return 1"},
	[SHARED_UNSURE] = {"unsure", ENTRY
	    "if not v then keep(ARGV[6]) end "
	    "if o==me then disown() else redis.call('HDEL',E,'f') end "
	    "live_on() return 1"},
	[SHARED_RELEASE] = {"release", ENTRY
	    "if o==me then if first then remove() else disown() end end "
	    "return 1"},
	[SHARED_LEAVE] = {"leave", ENTRY
	    "if o==me then disown() end "
	    "return 1"},
	[SHARED_FORGET] = {"forget", ENTRY
	    "if not alive() then remove() end "
	    "return 1"},
	/* KEYS nodes, secret; ARGV node, lease, the secret if there is none */
	[SHARED_BEAT] = {"beat", BEGIN
	    "local N,lease=KEYS[1],tonumber(ARGV[2]) "
	    "fit(N,'hash') "
	    "if redis.call('HLEN',N)>1000 then redis.call('DEL',N) end "
	    "local all=redis.call('HGETALL',N) "
	    "for k=1,#all,2 do local u=tonumber(all[k+1]) "
	    "if not u or u<=now or u>now+2*lease then "
	    "redis.call('HDEL',N,all[k]) end end "
	    "redis.call('HSET',N,ARGV[1],int(now+lease)) "
	    "redis.call('PEXPIRE',N,int(lease)) "
	    "redis.call('SET',KEYS[2],ARGV[3],'NX') "
	    "return redis.call('GET',KEYS[2])"},
};
