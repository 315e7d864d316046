-- What instances of a flow are called after a key: the value itself, in an environment, or one of several parts.
flow = {flow:String}
    AND startsWith(key, {value:String})
    AND match(substring(key, length({value:String}) + 1), {rest:String})
