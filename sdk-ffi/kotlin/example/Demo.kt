// Leaves a greeting and reads everybody's: `demo embedded` in this process, `demo http://127.0.0.1:34904` in a sidecar.

package example

import dev.pillion.Pillion
import dev.pillion.jsonValue
import dev.pillion.text
import kotlin.system.exitProcess

suspend fun main(arguments: Array<String>) {
    val where = arguments.singleOrNull() ?: usage()
    val mode = if (where == "embedded") "embedded" else "sidecar"
    val pillion = if (mode == "embedded") Pillion.embedded() else Pillion.connect(where)

    pillion.use { p ->
        val greeting = """{"from": "kotlin", "mode": "$mode"}"""
        p.state.set("greeting:kotlin", jsonValue(greeting))
        check(p.state.getText("greeting:kotlin") == greeting)

        p.state.list("greeting:").collect { entry ->
            println("kotlin: ${entry.key} = ${entry.value?.text()} (etag ${entry.etag})")
        }
    }
}

private fun usage(): Nothing {
    System.err.println("usage: demo embedded | demo ENDPOINT")
    exitProcess(2)
}
